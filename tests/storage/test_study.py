"""Writing a study: every epoch exactly once, the outcome last and for ever, the definition unchanged."""

from __future__ import annotations

import math

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from storage.errors import StorageError
from storage.record import read_curves, read_events, read_records
from storage.study import StudyStore
from storage.tables import epochs, events
from tests.storage.conftest import OpenStore
from tests.storage.helpers import at_once, draw, epoch_result, open_study, report, rows_of


@pytest.fixture
def study(storage: RDBStorage) -> StudyStore:
    return open_study(storage)


def stored(study: StudyStore, trial: optuna.Trial) -> optuna.trial.FrozenTrial:
    return study.storage.get_trial(trial._trial_id)


def record(study: StudyStore, trial: optuna.Trial, *values: float) -> list[bool]:
    """Records epochs 1, 2, ...; whether each was new."""
    return [study.record_epoch(report(trial, epoch, value)) for epoch, value in enumerate(values, start=1)]


class TestOneTrial:
    def test_ends_with_its_value_params_and_curve(self, study: StudyStore) -> None:
        trial = study.ask()
        params = draw(trial)
        assert record(study, trial, 0.1, 0.3) == [True, True]
        study.tell(trial.number, TrialState.COMPLETE, 0.3)
        (read,) = read_records(study.storage, study.name)
        assert (read.number, read.state, read.value, read.params) == (0, "COMPLETE", 0.3, params)
        assert read.curve == (epoch_result(1, 0.1), epoch_result(2, 0.3))

    def test_pruned_keeps_every_step(self, study: StudyStore) -> None:
        trial = study.ask()
        record(study, trial, 0.1, 0.3, 0.2)
        study.tell(trial.number, TrialState.PRUNED)
        assert stored(study, trial).state == TrialState.PRUNED
        assert stored(study, trial).intermediate_values == {1: 0.1, 2: 0.3, 3: 0.2}

    def test_failed_has_no_value(self, study: StudyStore) -> None:
        trial = study.ask()
        record(study, trial, 0.1)
        study.tell(trial.number, TrialState.FAIL)
        (read,) = read_records(study.storage, study.name)
        assert (read.state, read.value) == ("FAIL", None)

    @pytest.mark.parametrize("value", [None, math.nan])
    def test_without_a_number_is_never_complete(self, study: StudyStore, value: float | None) -> None:
        trial = study.ask()
        with pytest.raises(ValueError, match=r"required|not acceptable"):
            study.tell(trial.number, TrialState.COMPLETE, value)
        assert stored(study, trial).state == TrialState.RUNNING

    @pytest.mark.parametrize("second", [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
    def test_told_twice_keeps_the_first_outcome(self, study: StudyStore, second: TrialState) -> None:
        trial = study.ask()
        study.tell(trial.number, TrialState.COMPLETE, 0.3)
        study.tell(trial.number, second, 0.9 if second == TrialState.COMPLETE else None)
        assert (stored(study, trial).state, stored(study, trial).value) == (TrialState.COMPLETE, 0.3)

    def test_told_by_another_driver_keeps_that_outcome(
        self, study: StudyStore, url: str, open_store: OpenStore
    ) -> None:
        trial = study.ask()
        open_study(open_store(url)).tell(trial.number, TrialState.COMPLETE, 0.3)
        study.tell(trial.number, TrialState.FAIL)
        assert stored(study, trial).state == TrialState.COMPLETE

    def test_keeps_its_attributes(self, study: StudyStore) -> None:
        trial = study.ask()
        study.set_attributes(trial._trial_id, {"arm": "no_gat", "seed": 3, "config": {"model": {"hidden": 32}}})
        study.set_attributes(trial._trial_id, {"seed": 4})
        expected = {"arm": "no_gat", "seed": 4, "config": {"model": {"hidden": 32}}}
        assert stored(study, trial).user_attrs == expected


class TestRecordedEpochs:
    def test_second_one_is_not_new_and_changes_nothing(self, study: StudyStore) -> None:
        trial = study.ask()
        assert study.record_epoch(report(trial, 1, 0.1))
        assert not study.record_epoch(report(trial, 1, 0.9))
        assert study.known_epochs(trial.number) == (epoch_result(1, 0.1),)
        assert stored(study, trial).intermediate_values == {1: 0.1}

    def test_is_recorded_once_by_two_drivers_at_once(self, study: StudyStore, url: str, open_store: OpenStore) -> None:
        trial = study.ask()
        drivers = [study, open_study(open_store(url)), open_study(open_store(url))]
        for epoch in range(1, 6):
            news = at_once(
                *(
                    lambda driver=driver, value=value, epoch=epoch: driver.record_epoch(report(trial, epoch, value))
                    for value, driver in enumerate(drivers)
                )
            )
            assert sorted(news) == [False, False, True]
        assert [result["epoch"] for result in study.known_epochs(trial.number)] == [1, 2, 3, 4, 5]

    def test_are_copied_to_optuna(self, study: StudyStore) -> None:
        trial = study.ask()
        record(study, trial, 0.1, 0.2)
        assert stored(study, trial).intermediate_values == {1: 0.1, 2: 0.2}

    def test_are_read_back_whole_and_in_order(self, study: StudyStore) -> None:
        trial = study.ask()
        for epoch in (10, 2, 1):
            study.record_epoch(report(trial, epoch, epoch / 100))
        assert study.known_epochs(trial.number) == tuple(epoch_result(e, e / 100) for e in (1, 2, 10))

    def test_have_columns_of_their_own_for_what_is_asked_often(self, study: StudyStore) -> None:
        trial = study.ask()
        study.record_epoch(report(trial, 1, 0.2, best_so_far=0.4))
        (row,) = rows_of(study.storage.engine, epochs)
        columns = {name: row[name] for name in ("study", "number", "epoch", "value", "best_so_far", "seconds")}
        expected = {"study": study.name, "number": 0, "epoch": 1, "value": 0.2, "best_so_far": 0.4, "seconds": 1.5}
        assert columns == expected

    def test_of_trials_and_studies_stay_apart(self, study: StudyStore) -> None:
        other = open_study(study.storage, name="other")
        first, second, foreign = study.ask(), study.ask(), other.ask()
        record(study, first, 0.1)
        record(study, second, 0.2)
        assert record(other, foreign, 0.3) == [True]
        assert study.known_epochs(0) == (epoch_result(1, 0.1),)
        assert study.known_epochs(1) == (epoch_result(1, 0.2),)
        assert other.known_epochs(0) == (epoch_result(1, 0.3),)

    def test_that_come_late_do_not_change_a_told_trial(self, study: StudyStore) -> None:
        trial = study.ask()
        record(study, trial, 0.1)
        study.tell(trial.number, TrialState.COMPLETE, 0.1)
        study.record_epoch(report(trial, 2, 0.9))
        assert stored(study, trial).value == 0.1
        assert stored(study, trial).intermediate_values == {1: 0.1}

    @pytest.mark.parametrize("name", ["value", "best_so_far"])
    def test_that_are_no_number_are_refused_not_called_known(self, study: StudyStore, name: str) -> None:
        trial = study.ask()
        with pytest.raises(ValueError, match=name):
            study.record_epoch(report(trial, 1, 0.1, **{name: math.nan}))
        assert study.known_epochs(trial.number) == ()

    def test_of_several_threads_are_all_there(self, study: StudyStore) -> None:
        trials, num_epochs = [study.ask() for _ in range(4)], 100
        values = [epoch / 1000 for epoch in range(num_epochs)]
        recorded = at_once(*(lambda trial=trial: record(study, trial, *values) for trial in trials))
        assert recorded == [[True] * num_epochs] * len(trials)
        with study.storage.engine.connect() as connection:
            curves = read_curves(connection, study.name)
        for trial in trials:
            assert [result["value"] for result in curves[trial.number]] == values
            assert stored(study, trial).intermediate_values == dict(enumerate(values, start=1))


class TestAsking:
    def test_numbers_follow_one_another(self, study: StudyStore) -> None:
        assert [study.ask().number for _ in range(3)] == [0, 1, 2]

    def test_a_cell_fixes_the_parameters(self, study: StudyStore) -> None:
        trial = study.ask({"arm": "no_gat", "seed": 1})
        assert trial.suggest_categorical("arm", ("reference", "no_gat")) == "no_gat"
        assert trial.suggest_categorical("seed", (0, 1, 2)) == 1

    def test_equal_cells_are_trials_of_their_own(self, study: StudyStore) -> None:
        trials = [study.ask({"arm": "no_gat"}) for _ in range(2)]
        arms = [trial.suggest_categorical("arm", ("reference", "no_gat")) for trial in trials]
        assert [trial.number for trial in trials] == [0, 1]
        assert arms == ["no_gat", "no_gat"]

    def test_a_waiting_trial_comes_before_a_new_cell(self, study: StudyStore) -> None:
        study.study.enqueue_trial({"arm": "reference"})
        trial = study.ask({"arm": "no_gat"})
        assert trial.suggest_categorical("arm", ("reference", "no_gat")) == "reference"
        assert len(study.study.trials) == 1

    def test_a_study_opened_again_goes_on(self, study: StudyStore, url: str, open_store: OpenStore) -> None:
        study.tell(study.ask().number, TrialState.COMPLETE, 0.1)
        assert open_study(open_store(url)).ask().number == 1

    def test_more_is_better(self, study: StudyStore) -> None:
        assert study.study.direction == optuna.study.StudyDirection.MAXIMIZE


DEFINITION = {"space": "gat_ablation", "epochs": 6, "folds": ["search"]}


class TestDefinition:
    def test_is_stored(self, study: StudyStore, url: str, open_store: OpenStore) -> None:
        study.define(DEFINITION)
        assert open_study(open_store(url)).study.user_attrs["definition"] == DEFINITION

    def test_may_be_given_again(self, study: StudyStore, url: str, open_store: OpenStore) -> None:
        study.define(DEFINITION)
        open_study(open_store(url)).define(dict(reversed(DEFINITION.items())))
        assert study.study.user_attrs["definition"] == DEFINITION

    def test_with_tuples_may_be_given_again(self, study: StudyStore) -> None:
        definition = DEFINITION | {"horizons": (1, 5, 10, 20)}
        study.define(definition)
        study.define(definition)
        assert study.study.user_attrs["definition"]["horizons"] == [1, 5, 10, 20]

    def test_may_not_change(self, study: StudyStore) -> None:
        study.define(DEFINITION)
        study.ask()
        with pytest.raises(
            StorageError, match=r"(?s)'gat_ablation'.*epochs: 6 -> 5.*--accept-changes.*--name"
        ) as refusal:
            study.define(DEFINITION | {"epochs": 5})
        assert "folds" not in str(refusal.value)
        assert study.study.user_attrs["definition"] == DEFINITION

    def test_names_every_change(self, study: StudyStore) -> None:
        study.define(DEFINITION)
        study.ask()
        with pytest.raises(StorageError, match=r"space: gat_ablation -> other\n  epochs: 6 -> 5"):
            study.define(DEFINITION | {"space": "other", "epochs": 5})

    def test_more_epochs_are_no_change(self, study: StudyStore) -> None:
        study.define(DEFINITION)
        assert study.define(DEFINITION | {"epochs": 8}) == []
        assert study.study.user_attrs["definition"]["epochs"] == 8

    def test_a_change_is_named_by_its_setting(self, study: StudyStore) -> None:
        study.define({"reference": {"train": {"learning_rate": 0.001, "epochs": 3}}})
        study.ask()
        with pytest.raises(StorageError, match=r"\n  reference.train.learning_rate: 0.001 -> 0.002\n"):
            study.define({"reference": {"train": {"learning_rate": 0.002, "epochs": 3}}})

    def test_an_accepted_change_is_kept_and_ends_what_waits(self, study: StudyStore) -> None:
        study.define(DEFINITION)
        trial = study.ask()
        study.start(trial, {"config": {}})
        study.put_back(trial._trial_id)
        assert study.define(DEFINITION | {"space": "other"}, accept=True) == ["space: gat_ablation -> other"]
        assert study.study.user_attrs["definition"]["space"] == "other"
        assert stored(study, trial).state is TrialState.FAIL
        assert [event.kind for event in read_events(study.storage, study.name)] == ["changes_accepted"]

    def test_may_not_grow(self, study: StudyStore) -> None:
        study.define(DEFINITION)
        study.ask()
        with pytest.raises(StorageError, match="seed: None -> 1"):
            study.define(DEFINITION | {"seed": 1})

    def test_may_not_shrink(self, study: StudyStore) -> None:
        study.define(DEFINITION)
        study.ask()
        with pytest.raises(StorageError, match="epochs: 6 -> None"):
            study.define({"space": "gat_ablation", "folds": ["search"]})

    def test_binds_nobody_before_the_first_trial(self, study: StudyStore) -> None:
        study.define(DEFINITION)
        assert study.define(DEFINITION | {"space": "other"}) == []
        assert study.study.user_attrs["definition"]["space"] == "other"

    def test_objectives_may_change_before_the_first_trial_alone(self, study: StudyStore) -> None:
        two = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)
        assert StudyStore(study.storage, study.name, directions=two).study.directions == list(two)
        assert StudyStore(study.storage, study.name).study.directions == list(two)
        StudyStore(study.storage, study.name).ask()
        with pytest.raises(StorageError, match=r"has maximize, minimize, and maximize were asked for.*--name"):
            StudyStore(study.storage, study.name, directions=two[:1])


class TestCounts:
    def test_have_every_state(self, study: StudyStore) -> None:
        assert study.counts() == {state.name: 0 for state in TrialState}
        assert study.num_finished == 0

    def test_follow_the_trials(self, study: StudyStore) -> None:
        complete, pruned, failed, _ = (study.ask() for _ in range(4))
        study.study.enqueue_trial({"gat": True})
        study.tell(complete.number, TrialState.COMPLETE, 0.1)
        study.tell(pruned.number, TrialState.PRUNED)
        study.tell(failed.number, TrialState.FAIL)
        assert study.counts() == {"COMPLETE": 1, "PRUNED": 1, "FAIL": 1, "RUNNING": 1, "WAITING": 1}
        assert study.num_finished == 3


def test_events_are_readable(study: StudyStore) -> None:
    study.note("start", "two trials at a time")
    study.note("diverged", "the loss is not finite", number=3)
    first, second = rows_of(study.storage.engine, events)
    assert (first["study"], first["number"], first["kind"]) == (study.name, None, "start")
    assert (second["number"], second["kind"], second["message"]) == (3, "diverged", "the loss is not finite")
    assert first["id"] < second["id"]
    assert first["time"] is not None
