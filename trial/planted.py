"""The whole pipeline on planted markets: generate, tune, confirm, judge, and keep one small file per market.

The spaces are the shipped ones around a smaller reference: the last day instead of a recurrence, few features, two
horizons, one confirm fold. So a market takes minutes on two cores; what tunes, confirms and judges is all of the sweep.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from optuna.distributions import FloatDistribution
from rich.console import Console

from data.config import DataConfig, SplitConfig
from data.features import FEATURES
from data.synthetic import SyntheticConfig, synthetic_panel
from model.norm.fan import FANConfig
from model.norm.identity import IdentityNormConfig
from model.temporal.identity import LastDayConfig
from reports.evidence import read_evidence
from reports.inference.verdict import Word
from reports.judged import judge
from search_spaces import find_space
from search_spaces.knob import Knob
from search_spaces.knobs import HIDDEN, LEARNING_RATE
from search_spaces.space import SearchSpace
from storage.database import open_existing
from storage.files import write_whole
from trial.facts import whole_provenance
from trial.request import SweepRequest
from trial.run import run_sweep

Kind = Literal["null", "graph", "frequency"]
RESULT = "result.json"
RATE = Knob(LEARNING_RATE.name, LEARNING_RATE.keys, FloatDistribution(3e-3, 2e-2, log=True))  # of a small network
RETURNS = ("return_1", "return_5", "return_20", "market_relative_1", "market_relative_5", "market_relative_20")
BARS = ("return_1", "return_5", "market_relative_1", "range", "gap", "intraday", "close_location")


@dataclass(frozen=True)
class Planted:
    """What is planted, and who should find it."""

    effects: Mapping[str, Any]  # of the synthetic market
    space: str
    reference: Mapping[str, Any]  # what its reference has otherwise
    features: tuple[str, ...]  # that it sees
    window: int  # days
    arms: tuple[str, ...]
    epochs: int
    needed: str | None  # the arm that turns off what finds the effect; None: there is none


GRAPH = Planted(
    effects={"spillover": 2.5, "leaders": "industry", "num_sectors": 4},
    space="gat_ablation",
    reference={"model.norm": IdentityNormConfig(), "train.loss.auxiliary_weight": 0.0, "train.days_per_epoch": 240},
    features=RETURNS,
    window=10,
    arms=("no_gat", "no_freq_dropout"),
    epochs=6,
    needed="no_gat",
)
PLANTED: dict[Kind, Planted] = {
    "null": replace(GRAPH, effects={"num_sectors": 4}, needed=None),
    "graph": GRAPH,
    "frequency": Planted(
        effects={"regime": 4.0},
        space="norm_ablation",
        reference={"model.norm": FANConfig()},
        features=BARS,
        window=20,
        arms=("no_norm", "no_fan"),
        epochs=5,
        needed="no_norm",
    ),
}


@dataclass(frozen=True)
class Size:
    """Of each market and its sweep: the smallest that shows the effects on two cores."""

    num_stocks: int = 60
    num_days: int = 800
    search_days: int = 80
    confirm_days: int = 200
    draws: int = 2
    epochs: int | None = None  # None: those of the kind
    seeds: int | None = 8  # None: as precision asks, which may be 20


def run_market(folder: Path, kind: Kind, number: int, size: Size, console: Console) -> dict[str, Any]:
    """The verdicts on one market, from its file where this code judged one of this size before; a market that was begun
    is gone on with."""
    own = folder / f"{kind}-{number:03d}"
    if (known := _known(own / RESULT, size)) is not None:
        return known
    planted, started = PLANTED[kind], time.monotonic()
    config = SyntheticConfig.null(
        num_stocks=size.num_stocks, num_days=size.num_days, seed=1000 + number, **planted.effects
    )
    outcome = run_sweep(
        SweepRequest(
            space=small_space(planted, size),
            panel=synthetic_panel(own / "panel", config),
            runs=own / "runs",
            stages=("confirm",),
            epochs=size.epochs or planted.epochs,
            draws=size.draws,
            seeds=size.seeds,
            arms=planted.arms,
            seed=number,
        ),
        console,
    )
    if outcome.stopped:
        raise KeyboardInterrupt
    told = {"kind": kind, "number": number, "seconds": time.monotonic() - started}
    found = _judged(own / "runs", outcome.study) | told | provenance_of(size)
    write_whole(own / RESULT, json.dumps(found, indent=1))
    for left in ("panel", "runs"):
        shutil.rmtree(own / left)
    return found


def provenance_of(size: Size) -> dict[str, Any]:
    """What a result is a result of: one of other code or size is not counted beside it."""
    return {"size": asdict(size), "code": whole_provenance()["code"]}


def _known(path: Path, size: Size) -> dict[str, Any] | None:
    if not path.exists():
        return None
    known: dict[str, Any] = json.loads(path.read_text())
    return known if known.items() >= provenance_of(size).items() else None


def small_space(planted: Planted, size: Size) -> SearchSpace:
    """The shipped space around a reference that trains in seconds."""
    space = find_space(planted.space)
    splits = SplitConfig(search_days=size.search_days, confirm_days=size.confirm_days, confirm_folds=1, holdout_days=20)
    data = DataConfig(
        horizons=(1, 5),
        window=planted.window,
        splits=splits,
        leave_out=tuple(name for name in FEATURES if name not in planted.features),
    )
    changes = {
        "data": data,
        "model.temporal": LastDayConfig(),
        "model.hidden": 16,
        "train.block_days": 8,
        "train.learning_rate": 1e-2,
        "train.horizon_weights": (1.0, 1.0),
        **planted.reference,
    }
    knobs = tuple(knob for knob in space.knobs if knob.name not in (HIDDEN.name, RATE.name))
    return replace(space, reference=space.reference.replace(**changes), knobs=(*knobs, RATE))


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
