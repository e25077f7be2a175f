"""Samplers of the search, by name; a second start never repeats the draws of the first."""

from __future__ import annotations

import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, QMCSampler, RandomSampler, TPESampler

from trial.request import SweepRequest

STARTUP_TRIALS = 8  # random ones before TPE has seen enough


def make_sampler(request: SweepRequest, num_trials: int) -> BaseSampler:
    """The sampler of a study that has `num_trials` trials already.

    The quasi-random sequence goes on by itself, since its place is kept in the store; the others draw from a seed of
    their own at each start.
    """
    seed = (request.seed * 1_000_003 + num_trials) % 2**32
    if request.sampler == "qmc":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # since its version 3.0
            return QMCSampler(scramble=True, seed=request.seed, warn_independent_sampling=False)
    if request.sampler == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS, constant_liar=True)
