"""After a driver's death: its trials come back with the same number, the same parameters and their curve."""

from __future__ import annotations

import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from storage.costs import read_costs
from storage.study import StudyStore
from storage.tables import attempts, epochs
from tests.storage.conftest import OpenStore
from tests.storage.helpers import draw, epoch_result, open_study, report, rows_of


@pytest.fixture
def dead(storage: RDBStorage) -> StudyStore:
    """The study as a driver leaves it that dies without a word."""
    return open_study(storage, seed=1)


@pytest.fixture
def successor(dead: StudyStore) -> StudyStore:
    """The study in the next driver, whose sampler would draw other parameters."""
    return open_study(dead.storage, seed=2)


def record_in_our_table_alone(study: StudyStore, number: int, epoch: int, value: float) -> None:
    """What a driver leaves that dies between our table's write and Optuna's."""
    row = {"study": study.name, "number": number, "epoch": epoch, "value": value, "best_so_far": value, "seconds": 1.0}
    with study.storage.engine.begin() as connection:
        connection.execute(epochs.insert().values(**row, result=epoch_result(epoch, value)))


def test_a_running_trial_waits(dead: StudyStore, successor: StudyStore) -> None:
    dead.ask()
    assert successor.requeue_unfinished() == [0]
    assert successor.counts()["WAITING"] == 1
    assert successor.counts()["RUNNING"] == 0


def test_the_next_ask_gives_the_same_number_and_parameters(dead: StudyStore, successor: StudyStore) -> None:
    trial = dead.ask()
    params = draw(trial)
    successor.requeue_unfinished()
    again = successor.ask()
    assert (again.number, again._trial_id) == (trial.number, trial._trial_id)
    assert draw(again) == params
    assert successor.counts()["RUNNING"] == 1


def test_parameters_of_a_cell_come_back(dead: StudyStore, successor: StudyStore) -> None:
    dead.ask({"gat": False, "learning_rate": 0.01})
    successor.requeue_unfinished()
    assert draw(successor.ask()) == {"gat": False, "learning_rate": 0.01}


def test_a_trial_without_parameters_yet_gets_them_now(dead: StudyStore, successor: StudyStore) -> None:
    trial = dead.ask()
    successor.requeue_unfinished()
    again = successor.ask()
    assert again.number == trial.number
    assert {"gat", "learning_rate"} <= set(draw(again))


def test_a_trial_with_half_its_parameters_keeps_those(dead: StudyStore, successor: StudyStore) -> None:
    gat = dead.ask().suggest_categorical("gat", (True, False))
    successor.requeue_unfinished()
    params = draw(successor.ask())
    assert params["gat"] == gat
    assert "learning_rate" in params


def test_several_trials_come_back_in_order_before_a_new_one(dead: StudyStore, successor: StudyStore) -> None:
    drawn = [draw(dead.ask()) for _ in range(3)]
    assert successor.requeue_unfinished() == [0, 1, 2]
    again = [successor.ask() for _ in range(4)]
    assert [trial.number for trial in again] == [0, 1, 2, 3]
    assert [draw(trial) for trial in again[:3]] == drawn


def test_attributes_and_curve_survive(dead: StudyStore, successor: StudyStore) -> None:
    trial = dead.ask()
    dead.set_attributes(trial._trial_id, {"attempts": 1})
    dead.record_epoch(report(trial, 1, 0.1))
    successor.requeue_unfinished()
    again = successor.ask()
    assert again.user_attrs == {"attempts": 1}
    assert successor.known_epochs(again.number) == (epoch_result(1, 0.1),)


def test_epochs_that_only_our_table_has_are_copied(dead: StudyStore, successor: StudyStore) -> None:
    trial = dead.ask()
    dead.record_epoch(report(trial, 1, 0.1))
    record_in_our_table_alone(dead, trial.number, 2, 0.2)
    record_in_our_table_alone(dead, trial.number, 3, 0.3)
    successor.requeue_unfinished()
    assert successor.storage.get_trial(trial._trial_id).intermediate_values == {1: 0.1, 2: 0.2, 3: 0.3}


def test_a_requeued_trial_can_be_finished(dead: StudyStore, url: str, open_store: OpenStore) -> None:
    trial = dead.ask()
    params = draw(trial)
    dead.record_epoch(report(trial, 1, 0.1))
    successor = open_study(open_store(url), seed=2)
    successor.requeue_unfinished()
    again = successor.ask()
    assert draw(again) == params
    assert not successor.record_epoch(report(again, 1, 0.9))
    assert successor.record_epoch(report(again, 2, 0.2))
    successor.tell(again.number, TrialState.COMPLETE, 0.2)
    frozen = successor.storage.get_trial(again._trial_id)
    assert (frozen.value, frozen.intermediate_values) == (0.2, {1: 0.1, 2: 0.2})


def test_finished_and_waiting_trials_are_left_alone(dead: StudyStore, successor: StudyStore) -> None:
    told = [dead.ask() for _ in range(3)]
    dead.tell(told[0].number, TrialState.COMPLETE, 0.1)
    dead.tell(told[1].number, TrialState.PRUNED)
    dead.tell(told[2].number, TrialState.FAIL)
    dead.study.enqueue_trial({"gat": True})
    before = dead.study.trials
    assert successor.requeue_unfinished() == []
    assert successor.study.trials == before


def test_a_second_time_finds_nothing(dead: StudyStore, successor: StudyStore) -> None:
    dead.ask()
    assert successor.requeue_unfinished() == [0]
    assert successor.requeue_unfinished() == []


def test_other_studies_are_left_alone(dead: StudyStore, successor: StudyStore) -> None:
    other = open_study(dead.storage, name="other")
    other.ask()
    assert successor.requeue_unfinished() == []
    assert other.counts()["RUNNING"] == 1


def test_what_a_dead_drivers_attempts_cost_is_kept(dead: StudyStore, successor: StudyStore) -> None:
    trial = dead.ask()
    dead.start(trial, {"attempts": 1, "gpus": 0.5})
    dead.record_epoch(report(trial, 1, 0.1, peak_memory_mib=900.0))
    successor.requeue_unfinished()
    successor.start(successor.ask(), {"attempts": 2})
    successor.record_epoch(report(trial, 2, 0.2, peak_memory_mib=800.0))
    successor.record_epoch(report(trial, 3, 0.3, peak_memory_mib=700.0))
    for _ in range(2):  # a third driver, and one that finds nothing new
        successor.requeue_unfinished()
    (first, second) = rows_of(dead.storage.engine, attempts)
    assert (first["ending"], first["epochs"], first["train_seconds"], first["gpu_seconds"]) == (
        "driver_died",
        1,
        1.5,
        0.75,
    )
    assert (second["attempt"], second["epochs"], second["train_seconds"]) == (1, 2, 3.0)
    assert (first["peak_memory_mib"], second["peak_memory_mib"]) == (900.0, 800.0)
    assert read_costs(dead.storage.engine, [dead.name])[dead.name].gpu_seconds == 2.25


def test_what_is_not_left_by_anybody_is_left_alone(dead: StudyStore, successor: StudyStore) -> None:
    for driver in ("theirs", "dead"):
        dead.start(dead.ask(), {"driver": driver})
    assert successor.requeue_unfinished(lambda trial: trial.user_attrs["driver"] == "dead") == [1]
    assert successor.counts()["RUNNING"] == 1
