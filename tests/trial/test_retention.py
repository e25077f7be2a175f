"""Checkpoints that stay: those under way and the best, within the quota."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trial.flights import flight
from trial.keeper import CHECKPOINT
from trial.retention import Retention


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Checkpoints of 1,000 bytes of five trials, the first in two attempts."""
    for name in ("0/0", "0/1", "1/0", "2/0", "3/0", "4/0"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / CHECKPOINT).write_bytes(b"x" * 1000)
        (tmp_path / name / "predictions.parquet").touch()
    return tmp_path


def left(folder: Path) -> list[str]:
    return sorted(str(path.parent.relative_to(folder)) for path in folder.glob(f"*/*/{CHECKPOINT}"))


def test_a_loser_s_checkpoint_goes_and_its_predictions_stay(folder: Path) -> None:
    Retention(folder, keep=3, quota_bytes=10**9).after(flight(0), {1: 0.1})
    assert left(folder) == ["1/0", "2/0", "3/0", "4/0"], "trials under way keep theirs"
    assert (folder / "0/0/predictions.parquet").exists()


def test_the_best_stay(folder: Path) -> None:
    Retention(folder, keep=2, quota_bytes=10**9).after(flight(1), {0: 0.3, 1: 0.1, 2: 0.2})
    assert left(folder) == ["0/0", "0/1", "2/0", "3/0", "4/0"]


def test_beyond_the_quota_the_worst_of_them_go_and_those_under_way_stay(folder: Path) -> None:
    retention = Retention(folder, keep=3, quota_bytes=4500)
    retention.after(flight(1), {0: 0.3, 1: 0.1, 2: 0.2})
    assert left(folder) == ["0/0", "0/1", "3/0", "4/0"]


def test_what_has_gone_already_is_no_error(folder: Path) -> None:
    retention = Retention(folder, keep=1, quota_bytes=1)
    retention.after(flight(0), {})
    assert retention.after(flight(0), {}) == []
