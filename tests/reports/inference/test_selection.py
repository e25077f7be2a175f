"""Selection bias: pinned to the published example, and to what simulation says of the best of many."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reports.inference.selection import (
    deflated_sharpe_ratio,
    effective_number,
    expected_maximum,
    luck,
    minimum_backtest_years,
)

ANNUAL = 250  # trading days of the example's year
EXAMPLE = {"sharpe": 2.5 / math.sqrt(ANNUAL), "variance": 0.5 / ANNUAL, "num_periods": 1250, "skew": -3, "kurtosis": 10}


def test_the_published_example() -> None:
    assert luck(100, 0.5 / ANNUAL) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe_ratio(num_trials=100, **EXAMPLE) == pytest.approx(0.9004, abs=5e-5)
    assert deflated_sharpe_ratio(num_trials=46, **EXAMPLE) == pytest.approx(0.9505, abs=5e-5)


@pytest.mark.parametrize("num_trials", [10, 100, 1000])
def test_the_best_of_many_is_as_good_as_a_simulation_says(num_trials: int) -> None:
    best = np.random.default_rng(num_trials).normal(size=(3000, num_trials)).max(axis=1).mean()
    assert expected_maximum(num_trials) == pytest.approx(best, rel=0.03)


def test_one_trial_has_no_luck_and_more_have_more() -> None:
    assert expected_maximum(1) == 0.0
    several = [expected_maximum(number) for number in (2, 3, 10, 45.5, 1000)]
    assert several == sorted(several)
    with pytest.raises(ValueError, match="at least one trial"):
        expected_maximum(0)


def test_trials_that_are_alike_count_as_few() -> None:
    assert effective_number(100, 0.0) == 100
    assert effective_number(100, 1.0) == 1
    assert effective_number(100, 0.5) == pytest.approx(50.5)


def test_the_years_after_which_luck_alone_shows_less() -> None:
    """Forty-five trials without skill show an annual ratio of 1 after five years (the paper's figure)."""
    assert minimum_backtest_years(45, 1.0) == pytest.approx(5.0, abs=0.2)
    with pytest.raises(ValueError, match="must be above 0"):
        minimum_backtest_years(45, 0.0)


def test_moments_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 periods"):
        deflated_sharpe_ratio(0.1, 10, 0.01, 1, 0.0, 3.0)
    with pytest.raises(ValueError, match=r"at least 1 \+ skew\^2"):
        deflated_sharpe_ratio(0.9, 10, 0.01, 100, 4.0, 1.0)
