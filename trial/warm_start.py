"""Points to try first: the space's own, and the best of earlier studies as far as they fit."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.storages import RDBStorage

from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from search_spaces.space import SearchSpace
from storage.record import best_first, read_records

BEST = 5  # of each earlier study


def first_points(
    storage: RDBStorage, space: SearchSpace, base: TrialConfig, studies: Sequence[str]
) -> list[dict[str, Any]]:
    """In the order in which they are tried.

    Raises:
        StorageError: no such study.
        SpaceError: a study has no COMPLETE trial that fits the space.
    """
    points = [dict(point) for point in space.first_points]
    for study in studies:
        best = best_first(read_records(storage, study))[:BEST]
        fitting = [point for record in best if (point := fitted(space, base, record.params))]
        if not fitting:
            raise SpaceError(
                f"--warm-start must name a study with COMPLETE trials of like parameters, but {study!r} has none that "
                f"fit space {space.name!r}."
            )
        points += [point for point in fitting if point not in points]
    return points


def fitted(space: SearchSpace, base: TrialConfig, params: Mapping[str, Any]) -> dict[str, Any]:
    """Those parameters that the space has, with values that it can draw; the rest is drawn."""
    point = dict(params)
    while point:
        study = optuna.create_study()  # scratch: whether the space would take the point
        study.enqueue_trial(point)
        trial = study.ask()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                space.sample(trial, base)
            except (ValueError, SpaceError):  # a value of another kind, such as a word for a number
                return {}
        possible = {name: value for name, value in point.items() if _can_be_drawn(trial, name, value)}
        if possible == point:
            return point
        point = possible
    return {}


def _can_be_drawn(trial: optuna.Trial, name: str, value: Any) -> bool:
    distribution = trial.distributions.get(name)
    if distribution is None:
        return False
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except ValueError:
        return False
