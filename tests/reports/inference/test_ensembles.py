"""Greedy selection: takes what adds, as often as it adds, and never more than helps."""

from __future__ import annotations

import numpy as np
import pytest

from reports.inference.ensembles import greedy


def closeness(target: np.ndarray):  # type: ignore[no-untyped-def]
    return lambda score: -float(np.abs(score - target).max())


def test_it_finds_the_mixture_by_taking_one_twice() -> None:
    """(2, 1) / 3 is two parts of the first unit vector and one of the second."""
    candidates = np.eye(3)[:, None, :]
    target = np.array([[2 / 3, 1 / 3, 0.0]])
    assert sorted(greedy(candidates, closeness(target), 12)) == [0, 0, 1]


def test_the_best_alone_stays_alone_where_nothing_adds() -> None:
    candidates = np.stack([np.ones((1, 2)), np.zeros((1, 2))])
    assert greedy(candidates, closeness(np.ones((1, 2))), 10) == [0]


def test_noise_cancels_in_the_mean() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(30, 40))
    candidates = truth + rng.normal(0, 2, (8, 30, 40))

    def correlation(score: np.ndarray) -> float:
        return float(np.corrcoef(score.ravel(), truth.ravel())[0, 1])

    chosen = greedy(candidates, correlation, 16)
    assert correlation(candidates[chosen].mean(axis=0)) > max(map(correlation, candidates)) + 0.1
    assert len(set(chosen)) == 8


def test_nothing_to_choose_among_is_refused() -> None:
    with pytest.raises(ValueError, match="a candidate and a step"):
        greedy(np.empty((0, 1, 1)), lambda _: 0.0, 5)
    with pytest.raises(ValueError, match="a candidate and a step"):
        greedy(np.ones((1, 1, 1)), lambda _: 0.0, 0)
