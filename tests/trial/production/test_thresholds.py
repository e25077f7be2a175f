"""Thresholds as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import DataError
from reports.monitoring.thresholds import Thresholds
from trial.production.thresholds import read_thresholds


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path, own = tmp_path / "monitor.yaml", Thresholds(psi=0.4, rank_ic_days=90)
    path.write_text(own.to_yaml())
    assert read_thresholds(path) == own
    path.write_text("psi: 0.3\n")
    assert read_thresholds(path) == Thresholds(psi=0.3), "the rest stays as it is by default"


@pytest.mark.parametrize("text", ["psl: 0.3", "psi: -1", "psi: [", "- 1", "psi: 0.3\npsi: 0.2"])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "monitor.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=r"monitor\.yaml"):
        read_thresholds(path)
    with pytest.raises(DataError, match="can be read"):
        read_thresholds(tmp_path / "nowhere.yaml")
