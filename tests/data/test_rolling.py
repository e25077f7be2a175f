"""Rolling windows: equal to naive loops, missing below two thirds, and the same bits wherever a chunk begins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.rolling import (
    enough,
    exponential_mean,
    shift,
    window_count,
    window_covariance,
    window_deviation,
    window_max,
    window_mean,
    window_min,
    window_sum,
)

Statistic = Callable[[np.ndarray, int], np.ndarray]

REPEATABLE = settings(max_examples=40, deadline=None, derandomize=True, database=None)
SPANS = [2, 3, 5, 9, 12, 20]
WINDOWS = [*SPANS, 31, 32, 60]


def gappy(num_days: int = 150, num_stocks: int = 6, seed: int = 0, missing: float = 0.25) -> np.ndarray:
    """[T, N] noise with missing values; stock 0 has none and the last stock nothing else."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0.01, 0.02, (num_days, num_stocks))
    x[rng.random(x.shape) < missing] = np.nan
    x[:, 0], x[:, -1] = rng.normal(0, 1, num_days), np.nan
    return x


def other(x: np.ndarray) -> np.ndarray:
    """A second series of the same shape with gaps of its own."""
    return gappy(*x.shape, seed=1)[::-1].copy() + 0.5 * x


def covariance_with_another(x: np.ndarray, days: int) -> np.ndarray:
    return window_covariance(x, other(x), days)


# What pandas says of each window, with the same least number of known values.
NAIVE: dict[str, tuple[Statistic, Callable[[pd.DataFrame, int], pd.DataFrame]]] = {
    "sum": (window_sum, lambda x, days: x.fillna(0.0).rolling(days, min_periods=1).sum()),
    "count": (window_count, lambda x, days: x.notna().astype(float).rolling(days, min_periods=1).sum()),
    "mean": (window_mean, lambda x, days: x.rolling(days, min_periods=enough(days)).mean()),
    "deviation": (window_deviation, lambda x, days: x.rolling(days, min_periods=enough(days)).std()),
    "max": (window_max, lambda x, days: x.rolling(days, min_periods=enough(days)).max()),
    "min": (window_min, lambda x, days: x.rolling(days, min_periods=enough(days)).min()),
}
STATISTICS: dict[str, Statistic] = {
    **{name: ours for name, (ours, _) in NAIVE.items()},
    "covariance": covariance_with_another,
    "exponential_mean": exponential_mean,
}


@pytest.mark.parametrize("days", WINDOWS)
@pytest.mark.parametrize("name", NAIVE)
def test_a_window_equals_that_of_pandas(name: str, days: int) -> None:
    x = gappy()
    ours, theirs = NAIVE[name]
    np.testing.assert_allclose(ours(x, days), theirs(pd.DataFrame(x), days), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("days", WINDOWS)
def test_the_covariance_counts_the_days_on_which_both_are_known(days: int) -> None:
    x = gappy()
    y = other(x)
    expected = np.full(x.shape, np.nan)
    for t, n in np.ndindex(x.shape):
        a, b = x[max(0, t - days + 1) : t + 1, n], y[max(0, t - days + 1) : t + 1, n]
        both = np.isfinite(a) & np.isfinite(b)
        if both.sum() >= enough(days):
            expected[t, n] = np.cov(a[both], b[both])[0, 1]
    np.testing.assert_allclose(window_covariance(x, y, days), expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("span", SPANS)
def test_the_exponential_mean_weighs_known_days_by_their_age(span: int) -> None:
    x, reach = gappy(), 2 ** int(np.ceil(np.log2(4 * span)))
    expected = np.full(x.shape, np.nan)
    for t, n in np.ndindex(x.shape):
        past = x[max(0, t - reach + 1) : t + 1, n][::-1]
        weight = np.where(np.isfinite(past), (1 - 2 / (span + 1)) ** np.arange(len(past)), 0.0)
        if np.isfinite(x[max(0, t - span + 1) : t + 1, n]).sum() >= enough(span):
            expected[t, n] = (weight * np.nan_to_num(past)).sum() / weight.sum()
    np.testing.assert_allclose(exponential_mean(x, span), expected, rtol=1e-9)


@pytest.mark.parametrize("span", SPANS)
def test_the_exponential_mean_forgets_after_four_spans_rounded_up_to_a_power_of_two(span: int) -> None:
    x, reach = np.ones((200, 1)), 2 ** int(np.ceil(np.log2(4 * span)))
    x[0] = 1e6
    assert exponential_mean(x, span)[reach - 1, 0] > 1
    assert exponential_mean(x, span)[reach, 0] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("days", WINDOWS)
def test_a_window_is_missing_below_two_thirds_of_known_days_rounded_down(days: int) -> None:
    least = max(2, days * 2 // 3)
    x = np.full((days, 2), np.nan)
    x[:least, 0], x[: least - 1, 1] = 1.0, 1.0
    for statistic in (window_mean, window_deviation, window_max, window_min):
        assert np.isfinite(statistic(x, days)[-1]).tolist() == [True, False]


@REPEATABLE
@given(days=st.integers(0, 12), num_days=st.integers(1, 10))
def test_shift_reads_rows_before_and_nothing_before_the_first(days: int, num_days: int) -> None:
    x = np.arange(num_days * 2, dtype=float).reshape(num_days, 2)
    np.testing.assert_array_equal(shift(x, days), pd.DataFrame(x).shift(days))


@pytest.mark.parametrize("name", STATISTICS)
@REPEATABLE
@given(days=st.integers(2, 40), start=st.integers(0, 100), length=st.integers(1, 30), seed=st.integers(0, 9))
def test_the_same_bits_come_out_wherever_a_chunk_begins(
    name: str, days: int, start: int, length: int, seed: int
) -> None:
    x, statistic = gappy(320, seed=seed), STATISTICS[name]
    if name == "covariance":
        x, y = x, other(x)
        part = slice(start, start + 190 + length)
        whole, chunk = window_covariance(x, y, days), window_covariance(x[part], y[part], days)
    else:
        whole, chunk = statistic(x, days), statistic(x[start : start + 190 + length], days)
    reach = 2 ** int(np.ceil(np.log2(4 * days))) if name == "exponential_mean" else days
    np.testing.assert_array_equal(chunk[reach - 1 :], whole[start + reach - 1 : start + 190 + length])


@pytest.mark.parametrize("name", STATISTICS)
@REPEATABLE
@given(days=st.integers(2, 40), last=st.integers(0, 148), seed=st.integers(0, 9))
def test_no_later_row_touches_an_earlier_window(name: str, days: int, last: int, seed: int) -> None:
    x = gappy(seed=seed)
    poisoned = x.copy()
    poisoned[last + 1 :] = np.random.default_rng(seed).choice([np.nan, 1e9, -1e9, np.inf], x[last + 1 :].shape)
    statistic = STATISTICS[name]
    if name == "covariance":
        before, after = window_covariance(x, x[:, ::-1], days), window_covariance(poisoned, poisoned[:, ::-1], days)
    else:
        before, after = statistic(x, days), statistic(poisoned, days)
    np.testing.assert_array_equal(after[: last + 1], before[: last + 1])


@pytest.mark.parametrize("name", STATISTICS)
@REPEATABLE
@given(place=st.integers(0, 6), days=st.integers(2, 40))
def test_another_stock_beside_changes_no_bit(name: str, place: int, days: int) -> None:
    x = gappy()
    y = other(x)
    wider, wider_y = np.insert(x, place, 7.0, axis=1), np.insert(y, place, 3.0, axis=1)
    if name == "covariance":
        narrow, wide = window_covariance(x, y, days), window_covariance(wider, wider_y, days)
    else:
        narrow, wide = STATISTICS[name](x, days), STATISTICS[name](wider, days)
    np.testing.assert_array_equal(np.delete(wide, place, axis=1), narrow)


def test_a_constant_series_has_no_deviation_and_never_a_negative_variance() -> None:
    for level in (0.1, 1e6, 1e-9):
        deviation = window_deviation(np.full((50, 1), level), 20)[19:]
        assert (deviation >= 0).all()
        assert (deviation < 1e-6 * level + 1e-12).all()
