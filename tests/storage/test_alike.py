"""Finished trials share what they have in common, and say what the store says."""

from __future__ import annotations

import json
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage

from storage.alike import Alike, made_of
from storage.attempt import Ending
from storage.study import ENDED_BETWEEN, StudyStore
from tests.storage.helpers import draw, open_study

ATTRIBUTES = {"config": {"model": {"hidden": 32, "gat": {"heads": 2, "dropout": 0.3}}, "train": {"epochs": 20}}}


def ended(study: StudyStore, **more: Any) -> None:
    trial = study.ask()
    draw(trial)
    cost = {"epochs": 1, "wall_seconds": 4.0, "train_seconds": 3.0, "gpu_seconds": 0.0}
    attributes = ATTRIBUTES | more
    study.end(Ending(trial.number, trial._trial_id, 0, "complete", "COMPLETE", (0.1,), attributes, cost=cost))


def test_equal_parts_are_one_object_and_nothing_else_changes(storage: RDBStorage) -> None:
    study = open_study(storage)
    for number in range(ENDED_BETWEEN):
        ended(study, seed=number)
    kept = study.study.get_trials(deepcopy=False)
    first = kept[0].user_attrs["config"]
    assert all(trial.user_attrs["config"] is first for trial in kept)
    assert [trial.user_attrs["seed"] for trial in kept] == list(range(ENDED_BETWEEN))
    assert kept == optuna.load_study(study_name=study.name, storage=storage).trials


def test_trials_under_way_stay_as_they_are(storage: RDBStorage) -> None:
    study = open_study(storage)
    ended(study)
    trial = study.ask()
    study.set_attributes(trial._trial_id, ATTRIBUTES)
    alike = Alike()
    alike.keep(study.study.get_trials(deepcopy=False))
    done, under_way = study.study.get_trials(deepcopy=False)
    assert under_way.user_attrs["config"] == done.user_attrs["config"]
    assert under_way.user_attrs["config"] is not done.user_attrs["config"]


@pytest.mark.parametrize(
    "value",
    [{"a": 1.0}, {"a": True}, {"a": {"b": 1}}, {"a": 1, "b": 2}, {}, {"a": [1.0]}, {"a": None}, {"b": 1}],
)
def test_what_differs_in_value_or_in_type_stays_apart(value: dict[str, Any]) -> None:
    known: dict[str, Any] = {"a": 1}
    assert json.dumps(made_of(known, value)) == json.dumps(value)
    assert known == {"a": 1}


def test_what_is_the_same_is_the_known_one() -> None:
    known = {"a": {"b": [1, 2.5, "x"]}, "c": None}
    assert made_of(known, json.loads(json.dumps(known))) is known
    assert made_of(known, {"a": {"b": [1, 2.5, "x"]}, "c": 3})["a"] is known["a"]
