"""Around the loop: trackers, profiler, logs; each on request, and its failure hurts nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from data.loader import FoldBlocks
from search_spaces.config import TrialConfig
from trial.evaluate import EpochResult
from trial.interrupt import Interruption
from trial.logs import LOG
from trial.machine import Machine
from trial.order import TrialOrder
from trial.profiling import TRACE
from trial.session import run_attempt

Run = Callable[..., list[EpochResult]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "0"


@pytest.fixture
def run(blocks: FoldBlocks, config: TrialConfig, folder: Path) -> Run:
    def run_with(study: str = "s", seed: int = 0, **machine: Any) -> list[EpochResult]:
        order = TrialOrder(
            study=study,
            number=7,
            attempt=0,
            folder=folder,
            resume_from=None,
            known_epochs=0,
            store=blocks.store.folder,
            machine=Machine(**machine),
            config=config.replace(**{"train.epochs": 2, "seed": seed}),
        )
        return list(run_attempt(order, Interruption()))

    return run_with


def test_tensorboard_has_scalars_histograms_and_attention(run: Run, folder: Path) -> None:
    run(tensorboard=True)
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    scalars, histograms = set(events.Tags()["scalars"]), set(events.Tags()["histograms"])
    wanted = {
        "value",
        "loss/total",
        "valid/rank_ic/5",
        "gat/attention_entropy",
        "gat/edge_count",
        "gat/avg_attention",
        "train/ema_distance",
        "train/learning_rate",
        "train/gradient_norm",
    }
    assert wanted <= scalars
    kinds = {name.split("/")[0] for name in histograms}
    assert kinds == {"weights", "gradients", "activations"}
    assert any(name.startswith("gradients/graph.") for name in histograms)
    assert len(events.Scalars("value")) == 2


def test_telling_trackers_changes_no_number(run: Run, folder: Path) -> None:
    plain = [result.value for result in run()]
    assert [result.value for result in run(tensorboard=True, profile_steps=2)] == plain


def test_the_profiler_records_a_window(run: Run, folder: Path) -> None:
    run(profile_steps=2)
    trace = json.loads((folder / TRACE).read_text())
    names = {event.get("name", "") for event in trace["traceEvents"]}
    assert any(name.startswith("aten::") for name in names)


def test_a_trial_that_is_shorter_than_the_window_closes_it(run: Run, folder: Path) -> None:
    assert len(run(profile_steps=500)) == 2


@pytest.mark.parametrize(("level", "expected"), [("INFO", {"info"}), ("DEBUG", {"info", "debug"}), ("ERROR", set())])
def test_the_level_decides_what_is_kept(run: Run, folder: Path, level: str, expected: set[str]) -> None:
    run(log_level=level)
    path = folder / LOG
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    assert {line["level"] for line in lines} == expected
    assert all((line["study"], line["trial"], line["seed"]) == ("s", 7, 0) for line in lines)


def test_the_last_epoch_of_a_confirm_trial_tells_what_the_network_looks_at(run: Run) -> None:
    first, last = run("s.confirm")
    assert first.inside == {}
    assert last.inside["pairs"]
    assert EpochResult.from_dict(json.loads(json.dumps(last.to_dict(), allow_nan=False))) == last


@pytest.mark.parametrize(("study", "seed"), [("s", 0), ("s.tune", 0), ("s.confirm", 1)])
def test_others_do_not(run: Run, study: str, seed: int) -> None:
    assert [each.inside for each in run(study, seed)] == [{}, {}]
