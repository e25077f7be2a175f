"""The report of a running sweep: written as trials finish, seldom enough, and never at the sweep's cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from storage.database import open_storage
from tests.reports.conftest import add_trial, make_study
from trial import refresh
from trial.refresh import ReportRefresh


@pytest.fixture
def storage(tmp_path: Path) -> RDBStorage:
    return open_storage(f"sqlite:///{tmp_path}/sweeps.db")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(refresh, "LOOK_SECONDS", 0.0)


def test_it_is_written_when_a_trial_has_finished_and_a_tab_loads_it_again(storage: RDBStorage, tmp_path: Path) -> None:
    study, page = make_study(storage, "demo"), tmp_path / "demo" / "report.html"
    kept = ReportRefresh(f"sqlite:///{tmp_path}/sweeps.db", "demo", page, study)
    kept.look()
    kept.close()
    assert not page.exists(), "nothing has finished"
    add_trial(study, [0.01, 0.02], TrialState.COMPLETE, "complete")
    kept.look()
    kept.close()
    assert '<meta http-equiv="refresh" content="30">' in page.read_text()
    assert "+0.0200" in page.read_text()
    page.unlink()
    add_trial(study, [0.01, 0.03], TrialState.COMPLETE, "complete")
    kept.look()
    kept.close()
    assert not page.exists(), "the one before took its share of the time"


def test_what_fails_is_told_and_the_sweep_goes_on(
    storage: RDBStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(refresh, "write_report", broken)
    study = make_study(storage, "demo")
    kept = ReportRefresh(f"sqlite:///{tmp_path}/sweeps.db", "demo", tmp_path / "report.html", study)
    add_trial(study, [0.01], TrialState.COMPLETE, "complete")
    kept.look()
    kept.close()
    assert "the report was not refreshed: OSError: the disk is full" in caplog.text
