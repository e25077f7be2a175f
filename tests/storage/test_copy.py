"""A study moves between the two kinds of store without loss, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from storage.attempt import Ending
from storage.copy import copy_study
from storage.database import open_storage
from storage.errors import StorageError
from storage.ledger import market_id
from storage.record import read_events, read_records
from storage.study import StudyStore
from tests.storage.conftest import PostgreSQLStores
from tests.storage.helpers import draw, open_study, report

COST = {"epochs": 1, "wall_seconds": 2.0, "train_seconds": 1.0, "gpu_seconds": 0.0}


@pytest.fixture
def study(tmp_path: Path) -> StudyStore:
    """Trials of every state, in SQLite."""
    study = open_study(open_storage(f"sqlite:///{tmp_path}/from.db"))
    market = market_id(study.storage.engine, {"name": "sp500"}, lambda known: False)
    for number, state in enumerate(("COMPLETE", "PRUNED", "FAIL", None)):
        trial = study.ask()
        draw(trial)
        study.record_epoch(replace(report(trial, 1, 0.1 * number), fold="search", horizons=(1, 5)))
        values = (0.1,) if state == "COMPLETE" else None
        more = {"attributes": {"arm": "a"}, "events": (("noted", "something"),), "cost": COST}
        entry = {"market": market, "fold": "search", "config_hash": "c", "value": 0.1}
        study.end(Ending(number, trial._trial_id, 0, "x", state, values, ledger=entry, **more))  # type: ignore[arg-type]
    study.define({"space": "gat_ablation"})
    return study


def test_a_study_goes_to_postgresql_and_back(
    study: StudyStore, postgresql_stores: PostgreSQLStores, tmp_path: Path
) -> None:
    there = postgresql_stores.prepared()
    copied = copy_study(study.storage, there, study.name)
    assert (copied.trials, copied.epochs, copied.events) == (4, 4, 4)
    back = open_storage(f"sqlite:///{tmp_path}/back.db")
    copy_study(there, back, study.name)
    assert read_records(back, study.name) == read_records(study.storage, study.name)
    assert read_events(back, study.name) == read_events(study.storage, study.name)
    assert open_study(back).counts() == study.counts()


def test_a_name_that_is_taken_is_refused_and_stays(study: StudyStore, storage: RDBStorage) -> None:
    open_study(storage)
    with pytest.raises(StorageError, match="must not hold a study 'gat_ablation' yet"):
        copy_study(study.storage, storage, study.name)
    assert open_study(storage).counts()["COMPLETE"] == 0


def test_what_does_not_arrive_whole_is_taken_back(
    study: StudyStore, storage: RDBStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.copy._copy_rows", lambda *_: 0)
    with pytest.raises(StorageError, match="differs in sweep_epochs"):
        copy_study(study.storage, storage, study.name)
    assert [each.study_name for each in storage.get_all_studies()] == []
    assert study.counts()["COMPLETE"] == 1
    assert study.storage.get_trial(1).state is TrialState.COMPLETE
