"""Labels: forward returns against a loop, known only when their last close is, and z-scores per day."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.labels import daily_zscore, forward_returns
from data.panel import Panel
from tests.data.helpers import properties, random_closes


def closes_with_gaps() -> np.ndarray:
    """[40, 6] closes of which a tenth is missing."""
    close = random_closes(40, 6)
    close[np.random.default_rng(1).random(close.shape) < 0.1] = np.nan
    return close


@pytest.mark.parametrize("delay", [0, 1, 3])
@pytest.mark.parametrize("horizons", [(1,), (1, 5), (2, 3, 20)])
def test_forward_returns_equal_a_loop(horizons: tuple[int, ...], delay: int) -> None:
    close = closes_with_gaps()
    labels = forward_returns(close, horizons, delay)
    expected = np.full((*close.shape, len(horizons)), np.nan)
    for t in range(len(close)):
        for k, horizon in enumerate(horizons):
            if t + delay + horizon < len(close):
                expected[t, :, k] = close[t + delay + horizon] / close[t + delay] - 1
    np.testing.assert_allclose(labels, expected, rtol=1e-5, atol=1e-7)
    assert labels.dtype == np.float32


@pytest.mark.parametrize("delay", [0, 1])
def test_the_last_days_have_no_label_and_the_day_before_them_has(delay: int) -> None:
    labels = forward_returns(random_closes(30, 4), (1, 5), delay)
    for k, horizon in enumerate((1, 5)):
        assert np.isnan(labels[30 - delay - horizon :, :, k]).all()
        assert np.isfinite(labels[: 30 - delay - horizon, :, k]).all()


def test_a_horizon_longer_than_the_panel_has_no_label_at_all() -> None:
    assert np.isnan(forward_returns(random_closes(8, 3), (10,), 1)).all()


def test_with_delay_one_the_features_own_close_does_not_matter() -> None:
    close = random_closes(30, 4)
    shocked = close.copy()
    shocked[12] *= 1.7
    before, after = forward_returns(close, (1, 5), 1), forward_returns(shocked, (1, 5), 1)
    np.testing.assert_array_equal(before[12], after[12])
    assert not np.array_equal(before[11], after[11])


@properties(25)
@given(num_days=st.integers(2, 260), delay=st.integers(0, 2))
def test_a_cut_panel_keeps_the_labels_that_were_known_and_knows_no_other(
    market: Panel, num_days: int, delay: int
) -> None:
    horizons = (1, 5, 20)
    full = forward_returns(market.prices["close"], horizons, delay)[:num_days]
    cut = forward_returns(market.until(num_days).prices["close"], horizons, delay)
    for k, horizon in enumerate(horizons):
        known = np.arange(num_days) + delay + horizon < num_days
        np.testing.assert_array_equal(cut[known, :, k], full[known, :, k])
        assert np.isnan(cut[~known, :, k]).all()


def test_daily_zscore_equals_a_loop_over_days_and_horizons() -> None:
    labels = forward_returns(closes_with_gaps(), (1, 3), 1)
    scores = daily_zscore(labels)
    for t in range(len(labels)):
        for k in range(2):
            day = labels[t, :, k].astype(np.float64)
            if np.isfinite(day).sum() >= 2:
                expected = (day - np.nanmean(day)) / np.nanstd(day, ddof=1)
                np.testing.assert_allclose(scores[t, :, k], expected, rtol=1e-4, atol=1e-5)
            else:
                assert np.isnan(scores[t, :, k]).all()


def test_daily_zscore_ignores_the_markets_move_and_its_volatility() -> None:
    labels = np.random.default_rng(0).normal(size=(5, 30, 2)).astype(np.float32)
    np.testing.assert_allclose(daily_zscore(0.03 * labels + 0.5), daily_zscore(labels), atol=1e-4)


@pytest.mark.parametrize("day", [[np.nan] * 4, [0.02, np.nan, np.nan, np.nan], [0.1] * 4, [0.0] * 4])
def test_a_day_without_a_scale_has_no_zscore(day: list[float]) -> None:
    labels = np.array(day, np.float32).reshape(1, 4, 1)
    assert np.isnan(daily_zscore(labels)).all()
