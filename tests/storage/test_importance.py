"""Importances: the parameter that decides comes first, and too little to judge by gives none."""

from __future__ import annotations

import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from storage.errors import StorageError
from storage.importance import MIN_TRIALS, parameter_importances
from storage.study import StudyStore
from tests.storage.helpers import open_study


@pytest.fixture
def study(storage: RDBStorage) -> StudyStore:
    return open_study(storage)


def run_trials(study: StudyStore, number: int, state: TrialState = TrialState.COMPLETE) -> None:
    """`learning_rate` decides the value, `noise` does nothing, `hidden` never varies, `gat_heads` comes and goes."""
    for _ in range(number):
        trial = study.ask()
        value = trial.suggest_float("learning_rate", 0.0, 1.0)
        trial.suggest_float("noise", 0.0, 1.0)
        trial.suggest_categorical("hidden", (32,))
        if trial.number % 2:
            trial.suggest_categorical("gat_heads", (2, 4))
        study.tell(trial.number, state, value if state == TrialState.COMPLETE else None)


def test_what_decides_comes_first(study: StudyStore) -> None:
    run_trials(study, 30)
    importances = parameter_importances(study.storage, study.name)
    assert next(iter(importances)) == "learning_rate"
    assert importances["learning_rate"] > 2 * importances["noise"]


def test_what_cannot_be_compared_is_left_out(study: StudyStore) -> None:
    run_trials(study, 10)
    assert set(parameter_importances(study.storage, study.name)) == {"learning_rate", "noise"}


def test_few_trials_have_none(study: StudyStore) -> None:
    run_trials(study, MIN_TRIALS - 1)
    run_trials(study, 10, TrialState.FAIL)
    assert parameter_importances(study.storage, study.name) == {}


def test_equal_values_have_none(study: StudyStore) -> None:
    for _ in range(10):
        trial = study.ask()
        trial.suggest_float("learning_rate", 0.0, 1.0)
        study.tell(trial.number, TrialState.COMPLETE, 0.5)
    assert parameter_importances(study.storage, study.name) == {}


def test_an_unknown_study_is_refused(study: StudyStore) -> None:
    with pytest.raises(StorageError, match="one of: gat_ablation"):
        parameter_importances(study.storage, "gat_ablatoin")
