"""Samplers by name: a second start goes on drawing, it never draws the same again."""

from __future__ import annotations

from typing import get_args

import optuna
import pytest

from search_spaces import SPACES
from trial.request import SamplerName, SweepRequest
from trial.sampling import STARTUP_TRIALS, make_sampler

SPACE = SPACES["gat_ablation"]


def drawn(study: optuna.Study, number: int) -> list[dict[str, object]]:
    points = []
    for _ in range(number):
        trial = study.ask()
        SPACE.sample(trial, SPACE.reference)
        study.tell(trial, 0.1 * trial.number)
        points.append(dict(trial.params))
    return points


@pytest.mark.parametrize("name", get_args(SamplerName))
def test_a_second_start_draws_other_points(name: SamplerName) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    request = SweepRequest(space="gat_ablation", sampler=name, seed=3)
    study = optuna.create_study(direction="maximize", sampler=make_sampler(request, 0))
    first = drawn(study, 4)
    study.sampler = make_sampler(request, 4)
    rates = [point["learning_rate"] for point in [*first, *drawn(study, 4)]]
    assert len(set(rates)) == 8


@pytest.mark.parametrize("name", get_args(SamplerName))
def test_the_same_seed_draws_the_same_points_and_another_others(name: SamplerName) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def points(seed: int) -> list[dict[str, object]]:
        request = SweepRequest(space="gat_ablation", sampler=name, seed=seed)
        return drawn(optuna.create_study(direction="maximize", sampler=make_sampler(request, 0)), STARTUP_TRIALS + 2)

    assert points(1) == points(1)
    assert points(1) != points(2)
