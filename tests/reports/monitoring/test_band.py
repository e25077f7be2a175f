"""How low a rolling RankIC falls by luck in a year of mornings."""

from __future__ import annotations

import numpy as np
import pytest

from reports.monitoring.band import MORNINGS, POINTWISE, Expected, year_bound


@pytest.mark.parametrize(("window", "horizon"), [(60, 1), (60, 5), (40, 20)])
def test_nineteen_years_in_twenty_stay_above(window: int, horizon: int) -> None:
    """Other draws than those that it was made of, computed day by day."""
    rng = np.random.default_rng(9)
    bound, below = year_bound(window, horizon), 0
    for _ in range(600):
        shocks = rng.standard_normal(MORNINGS + window + horizon - 2)
        daily = np.convolve(shocks, np.full(horizon, 1 / horizon), mode="valid")
        rolling = np.convolve(daily, np.full(window, 1 / window), mode="valid")
        below += rolling.min() < -bound / np.sqrt(window)
    assert 0.025 <= below / 600 <= 0.085


def test_who_looks_every_morning_needs_more_than_who_looks_once() -> None:
    assert 2.3 < year_bound(60, 5) < 3.5
    assert year_bound(60, 5) > POINTWISE
    assert year_bound(20, 1) > year_bound(120, 1), "a longer mean has fewer chances"


def test_the_limit_holds_both_errors() -> None:
    expected = Expected(5, 0.03, 0.01, 0.06, "60 days")
    assert expected.lower_limit(60, 2.0) == pytest.approx(0.03 - np.sqrt(4 * 0.06 / 60 + POINTWISE**2 * 0.01**2))
