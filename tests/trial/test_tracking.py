"""Trackers: none by default; Weights & Biases offline for real, and what is said where it is not installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import wandb

from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from tests.trial.results import epoch_result
from trial.machine import Machine
from trial.order import TrialOrder
from trial.tracking import NoTracker, WandbTracker, open_tracker, refuse_missing_tracker


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
    tracker = open_tracker(_order(tmp_path, wandb=False))
    assert isinstance(tracker, NoTracker)
    tracker.log(epoch_result(1))
    tracker.finish()
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SpaceError, match=r"package is not installed. Install it with `pip install wandb`"):
        refuse_missing_tracker(True)
    refuse_missing_tracker(False)


def test_weights_and_biases_keeps_a_run_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WANDB_MODE": "offline", "WANDB_CACHE_DIR": "c", "WANDB_CONFIG_DIR": "d"}.items():
        monkeypatch.setenv(name, value if name == "WANDB_MODE" else str(tmp_path / value))
    tracker = open_tracker(_order(tmp_path, wandb=True))
    assert isinstance(tracker, WandbTracker)
    for epoch in (1, 2):
        tracker.log(epoch_result(epoch))
    tracker.finish()
    (written,) = (tmp_path / "3" / "0" / "wandb").glob("offline-run-*/run-*.wandb")
    content = written.read_bytes()
    for told in (b"gat_ablation-3", b"no_gat", b"valid/rank_ic/1", b"loss/huber", b"best_so_far"):
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
    tracker.log(epoch_result(1))
    tracker.finish()
    own = [record for record in caplog.records if record.name == "trial.tracking"]
    assert [record.levelname for record in own] == ["WARNING", "WARNING"]
    assert all("no route to host" in record.getMessage() for record in own)


def test_a_tracker_that_cannot_begin_is_said_and_hurts_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(**_: object) -> None:
        raise wandb.errors.CommError("no route to host")

    monkeypatch.setattr(wandb, "init", refuse)
    assert isinstance(open_tracker(_order(tmp_path, wandb=True)), NoTracker)
    assert "does not take trial 3: no route to host" in caplog.text
