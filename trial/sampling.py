"""Samplers of the search, by name. Each ask has a seed of its own, so a study draws alike in one run or several."""

from __future__ import annotations

import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, QMCSampler, RandomSampler, TPESampler

from trial.request import SweepRequest

STARTUP_TRIALS = 8  # random ones before TPE has seen enough


def make_sampler(request: SweepRequest, number: int) -> BaseSampler:
    """The sampler that draws the trial of a number.

    The quasi-random sequence goes on by itself, since its place is kept in the store. TPE sees the constraints that the
    recorder wrote, and the trials under way.
    """
    seed = (request.seed * 1_000_003 + number) % 2**32
    if request.sampler == "qmc":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # since its version 3.0
            return QMCSampler(scramble=True, seed=request.seed, warn_independent_sampling=False)
    if request.sampler == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS, constant_liar=True)
