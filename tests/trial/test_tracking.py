"""Trackers: none by default; Weights & Biases offline for real, and what is said where it is not installed."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import Any

import pytest
import wandb

from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from tests.trial.results import epoch_result
from trial.machine import Machine
from trial.order import TrialOrder
from trial.tracking import Trackers, open_trackers, refuse_missing_trackers
from trial.tracking.weights_and_biases import WandbTracker

NOTHING: Any = (None, None)  # state and blocks, which scalars alone do not need


def _order(folder: Path, wandb: bool) -> TrialOrder:
    return TrialOrder(
        study="gat_ablation",
        number=3,
        attempt=0,
        folder=folder / "3" / "0",
        resume_from=None,
        known_epochs=0,
        store=folder,
        machine=Machine(wandb=wandb),
        config=TrialConfig(arm="no_gat"),
    )


def test_no_tracker_is_the_default(tmp_path: Path) -> None:
    trackers = open_trackers(_order(tmp_path, wandb=False))
    assert trackers.members == []
    trackers.log(epoch_result(1), *NOTHING)
    trackers.finish()
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SpaceError, match=r"package is not installed. Install it with `pip install wandb`"):
        refuse_missing_trackers(False, True)
    with pytest.raises(SpaceError, match=r"ATFT_TENSORBOARD asks for TensorBoard"):
        refuse_missing_trackers(True, False)
    refuse_missing_trackers(False, False)


def test_weights_and_biases_keeps_a_run_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WANDB_MODE": "offline", "WANDB_CACHE_DIR": "c", "WANDB_CONFIG_DIR": "d"}.items():
        monkeypatch.setenv(name, value if name == "WANDB_MODE" else str(tmp_path / value))
    trackers = open_trackers(_order(tmp_path, wandb=True))
    assert [type(member) for member in trackers.members] == [WandbTracker]
    for epoch in (1, 2):
        trackers.log(epoch_result(epoch), *NOTHING)
    trackers.finish()
    (written,) = (tmp_path / "3" / "0" / "wandb").glob("offline-run-*/run-*.wandb")
    wanted = (b"gat_ablation-3", b"no_gat", b"valid/rank_ic/1", b"loss/huber", b"best_so_far")
    deadline = time.monotonic() + 60  # its service writes on its own time
    while not all(told in written.read_bytes() for told in wanted) and time.monotonic() < deadline:
        time.sleep(0.2)
    content = written.read_bytes()
    for told in wanted:
        assert told in content


def test_a_failing_tracker_is_said_and_hurts_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    tracker = WandbTracker(_order(tmp_path, wandb=True))

    def refuse(*_: object, **__: object) -> None:
        raise tracker._error("no route to host")

    monkeypatch.setattr(tracker._run, "log", refuse)
    monkeypatch.setattr(tracker._run, "finish", refuse)
    trackers = Trackers([tracker])
    trackers.log(epoch_result(1), *NOTHING)
    trackers.log(epoch_result(2), *NOTHING)
    trackers.finish()
    own = [record for record in caplog.records if record.name == "trial.tracking"]
    assert [record.levelname for record in own] == ["WARNING"], "said once, then it is left out"
    assert "no route to host" in own[0].getMessage()


def test_a_tracker_that_cannot_begin_is_said_and_hurts_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(**_: object) -> None:
        raise wandb.errors.CommError("no route to host")

    monkeypatch.setattr(wandb, "init", refuse)
    assert open_trackers(_order(tmp_path, wandb=True)).members == []
    assert "trial 3 is not told to weights and biases: no route to host" in caplog.text
