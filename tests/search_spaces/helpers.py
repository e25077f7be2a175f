"""Drawing from a space without a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution

from search_spaces.config import TrialConfig
from search_spaces.space import SearchSpace

NUM_SAMPLES = 50


class Draw(NamedTuple):
    """What a trial sampled and the configuration made of it."""

    trial: optuna.Trial
    config: TrialConfig

    @property
    def params(self) -> dict[str, Any]:
        return self.trial.params

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        return self.trial.distributions


def new_study(seed: int = 0) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=seed))


def draw(space: SearchSpace, study: optuna.Study) -> Draw:
    trial = study.ask()
    return Draw(trial, space.sample(trial, space.reference))


def draw_random(space: SearchSpace, number: int = NUM_SAMPLES, seed: int = 0) -> Iterator[Draw]:
    """Independent random points, each with the parameters that it drew."""
    study = new_study(seed)
    for _ in range(number):
        yield draw(space, study)


def draw_point(space: SearchSpace, point: Mapping[str, Any]) -> Draw:
    """The point that `point` describes; what it leaves out is drawn."""
    study = new_study()
    study.enqueue_trial(dict(point))
    return draw(space, study)
