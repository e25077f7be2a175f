"""Reading back: one record per trial, joined from Optuna's tables and ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from storage.errors import StorageError
from storage.record import TrialRecord, load_study, read_curves, read_records, to_frame
from storage.study import StudyStore
from tests.storage.helpers import draw, epoch_result, open_study, report


@pytest.fixture
def study(storage: RDBStorage) -> StudyStore:
    """Trial 0 complete after two epochs, 1 pruned after one, 2 failed, 3 running, 4 waiting."""
    study = open_study(storage)
    complete, pruned, failed, _ = (study.ask() for _ in range(4))
    draw(complete)
    study.set_attributes(
        complete._trial_id, {"arm": "no_gat", "seed": 1, "fold": "confirm-1", "config": {"model": {"hidden": 32}}}
    )
    study.record_epoch(report(complete, 1, 0.1))
    study.record_epoch(report(complete, 2, 0.2))
    study.tell(0, TrialState.COMPLETE, 0.2)
    study.record_epoch(report(pruned, 1, -0.1))
    study.set_attributes(pruned._trial_id, {"reason": "asha"})
    study.tell(1, TrialState.PRUNED)
    study.set_attributes(failed._trial_id, {"reason": "crash"})
    study.tell(2, TrialState.FAIL)
    study.study.enqueue_trial({"gat": True})
    return study


@pytest.fixture
def records(study: StudyStore) -> list[TrialRecord]:
    return read_records(study.storage, study.name)


def test_every_trial_has_a_record_in_order(records: list[TrialRecord]) -> None:
    assert [(record.number, record.state) for record in records] == [
        (0, "COMPLETE"),
        (1, "PRUNED"),
        (2, "FAIL"),
        (3, "RUNNING"),
        (4, "WAITING"),
    ]


def test_a_record_joins_optunas_tables_and_ours(study: StudyStore, records: list[TrialRecord]) -> None:
    record = records[0]
    assert record.value == 0.2
    assert record.params == study.study.trials[0].params
    assert record.curve == (epoch_result(1, 0.1), epoch_result(2, 0.2))
    assert (record.arm, record.seed, record.fold) == ("no_gat", 1, "confirm-1")
    assert record.config == {"model": {"hidden": 32}}


def test_a_record_says_why_it_is_not_complete(records: list[TrialRecord]) -> None:
    assert [record.reason for record in records] == [None, "asha", "crash", None, None]


def test_what_is_not_known_is_none(records: list[TrialRecord]) -> None:
    record = records[3]
    assert (record.value, record.arm, record.seed, record.fold, record.config) == (None, None, None, None, None)
    assert record.curve == ()


def test_curves_of_another_study_stay_out(study: StudyStore) -> None:
    other = open_study(study.storage, name="other")
    other.ask()
    (record,) = read_records(other.storage, "other")
    assert record.curve == ()
    with study.storage.engine.connect() as connection:
        assert set(read_curves(connection, study.name)) == {0, 1}


def test_a_frame_has_one_row_per_trial(records: list[TrialRecord]) -> None:
    frame = to_frame(records)
    assert list(frame["number"]) == [0, 1, 2, 3, 4]
    assert list(frame["epochs"]) == [2, 1, 0, 0, 0]
    assert list(frame["state"]) == [record.state for record in records]
    assert frame.loc[0, "value"] == 0.2
    assert frame.loc[0, ["arm", "seed", "fold"]].tolist() == ["no_gat", 1, "confirm-1"]
    assert frame.loc[0, "params_learning_rate"] == records[0].params["learning_rate"]


def test_a_frame_of_an_empty_study_has_its_columns(storage: RDBStorage) -> None:
    open_study(storage, name="empty")
    frame = to_frame(read_records(storage, "empty"))
    assert len(frame) == 0
    assert {"number", "state", "value", "reason", "epochs", "arm", "seed", "fold"} <= set(frame.columns)


def test_a_study_is_loaded_by_name(study: StudyStore) -> None:
    assert len(load_study(study.storage, study.name).trials) == 5


@pytest.mark.parametrize("read", [read_records, load_study])
def test_an_unknown_study_is_refused_naming_those_that_exist(
    study: StudyStore, read: Callable[[RDBStorage, str], object]
) -> None:
    open_study(study.storage, name="another")
    with pytest.raises(StorageError, match=r"one of: another, gat_ablation; got 'gat_ablatoin'"):
        read(study.storage, "gat_ablatoin")


def test_an_unknown_study_of_an_empty_store_is_refused(storage: RDBStorage) -> None:
    with pytest.raises(StorageError, match=r"\(none yet\); got 'gat_ablation'"):
        read_records(storage, "gat_ablation")
