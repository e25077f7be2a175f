"""The whole pipeline on planted markets: generate, tune, confirm, judge, and keep one small file per market."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from data.synthetic import SyntheticConfig, synthetic_panel
from reports.evidence import read_evidence
from reports.inference.verdict import Word
from reports.judged import judge
from storage.database import open_existing
from trial.request import SweepRequest
from trial.run import run_sweep

Kind = Literal["null", "graph", "frequency"]
RESULT = "result.json"


@dataclass(frozen=True)
class Planted:
    """What is planted, and who should find it."""

    kind: Kind
    effects: dict[str, float]  # of the synthetic market
    space: str
    arms: tuple[str, ...]
    needed: str | None  # the arm that turns off what finds the effect; None: there is none


PLANTED: dict[Kind, Planted] = {
    "null": Planted("null", {}, "gat_ablation", ("no_gat", "no_fan"), None),
    "graph": Planted("graph", {"spillover": 2.0}, "gat_ablation", ("no_gat", "no_fan"), "no_gat"),
    "frequency": Planted("frequency", {"regime": 2.0}, "norm_ablation", ("no_norm", "no_san"), "no_norm"),
}


@dataclass(frozen=True)
class Size:
    """Of each market and its sweep: the smallest that shows the effects on two cores."""

    num_stocks: int = 60
    num_days: int = 800
    epochs: int = 4
    draws: int = 2


def run_market(folder: Path, kind: Kind, number: int, size: Size, console: Console) -> dict[str, Any]:
    """The verdicts on one market, from its file where it was judged before; a market that was begun is gone on with."""
    own = folder / f"{kind}-{number:03d}"
    if (own / RESULT).exists():
        known: dict[str, Any] = json.loads((own / RESULT).read_text())
        return known
    planted, started = PLANTED[kind], time.monotonic()
    config = SyntheticConfig.null(
        num_stocks=size.num_stocks, num_days=size.num_days, seed=1000 + number, **planted.effects
    )
    panel = synthetic_panel(own / "panel", config)
    outcome = run_sweep(
        SweepRequest(
            space=planted.space,
            panel=panel,
            runs=own / "runs",
            stages=("confirm",),
            epochs=size.epochs,
            draws=size.draws,
            arms=planted.arms,
            seed=number,
        ),
        console,
    )
    if outcome.stopped:
        raise KeyboardInterrupt
    found = _judged(own / "runs", outcome.study) | {
        "kind": kind,
        "number": number,
        "seconds": time.monotonic() - started,
    }
    scratch = own / f"{RESULT}.{os.getpid()}.tmp"
    scratch.write_text(json.dumps(found, indent=1))
    scratch.rename(own / RESULT)
    for left in ("panel", "runs"):
        shutil.rmtree(own / left)
    return found


def _judged(runs: Path, study: str) -> dict[str, Any]:
    """Words, differences and what they rest on."""
    storage = open_existing(f"sqlite:///{runs}/sweeps.db")
    try:
        judged = judge(read_evidence(storage, study).confirm)
    finally:
        storage.engine.dispose()
    if isinstance(judged, str):
        return {"why": judged, "words": {}}
    effects = {arm: verdict.effect for arm, verdict in judged.verdicts.items()}
    return {
        "words": {arm: verdict.word.value for arm, verdict in judged.verdicts.items()},
        "means": {arm: each.mean for arm, each in effects.items()},
        "errors": {arm: each.standard_error for arm, each in effects.items()},
        "seeds": {arm: each.num_seeds for arm, each in effects.items()},
        "days": {arm: each.num_days for arm, each in effects.items()},
        "horizon": judged.horizon,
    }


def has_word(found: dict[str, Any]) -> bool:
    """Whether helps or hurts was said of any arm."""
    return bool({Word.HELPS.value, Word.HURTS.value} & set(found["words"].values()))


def is_found(found: dict[str, Any]) -> bool:
    """Whether the arm without what finds the effect is said to hurt."""
    needed = PLANTED[found["kind"]].needed
    return needed is not None and found["words"].get(needed) == Word.HURTS.value
