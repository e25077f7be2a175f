"""Bars: shared series of the days, and the ranks and means of a day's universe."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from data.bars import Bars, day_mean, day_rank, less_day_mean, less_group_mean, log, ratio

REPEATABLE = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@st.composite
def cross_sections(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """([T, N] values with ties, gaps and infinities, [T, N] universe)."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    shape = (draw(st.integers(2, 6)), draw(st.integers(1, 40)))
    x = rng.normal(0, 1, shape).round(draw(st.sampled_from([0, 1, 12])))
    x[rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 1.0]))] = np.nan
    x[rng.random(shape) < 0.03] = np.inf
    return x, rng.random(shape) < draw(st.sampled_from([0.0, 0.5, 1.0]))


@REPEATABLE
@given(day=cross_sections())
def test_the_rank_of_a_day_is_that_of_scipy_between_minus_and_plus_a_half(day: tuple[np.ndarray, np.ndarray]) -> None:
    x, eligible = day
    for t, ranks in enumerate(day_rank(x, eligible)):
        ranked = eligible[t] & np.isfinite(x[t])
        assert np.isnan(ranks[~ranked]).all()
        if ranked.any():
            np.testing.assert_allclose(ranks[ranked], (rankdata(x[t, ranked]) - 0.5) / ranked.sum() - 0.5, atol=1e-15)


def test_ties_share_their_mean_rank() -> None:
    ranks = day_rank(np.array([[3.0, 1.0, 3.0, np.nan, 2.0]]), np.ones((1, 5), bool))
    np.testing.assert_allclose(ranks, [[0.25, -0.375, 0.25, np.nan, -0.125]])


@REPEATABLE
@given(day=cross_sections())
def test_the_mean_of_a_day_is_that_of_its_universe(day: tuple[np.ndarray, np.ndarray]) -> None:
    x, eligible = day
    for t, mean in enumerate(day_mean(x, eligible)):
        known = x[t, eligible[t] & np.isfinite(x[t])]
        np.testing.assert_allclose(mean, known.mean() if len(known) else np.nan, atol=1e-14)


@REPEATABLE
@given(day=cross_sections(), places=st.lists(st.integers(0, 40), min_size=1, max_size=30))
def test_stocks_without_a_row_change_no_bit_of_a_days_mean(
    day: tuple[np.ndarray, np.ndarray], places: list[int]
) -> None:
    x, eligible = day
    where = np.minimum(places, x.shape[1])
    wider, admitted = np.insert(x, where, np.nan, axis=1), np.insert(eligible, where, False, axis=1)
    np.testing.assert_array_equal(day_mean(wider, admitted), day_mean(x, eligible))


@REPEATABLE
@given(day=cross_sections(), stop=st.integers(2, 6))
def test_a_days_mean_does_not_depend_on_the_days_beside_it(day: tuple[np.ndarray, np.ndarray], stop: int) -> None:
    x, eligible = day
    np.testing.assert_array_equal(day_mean(x[:stop], eligible[:stop]), day_mean(x, eligible)[:stop])


@REPEATABLE
@given(day=cross_sections())
def test_the_mean_of_a_day_alone_has_the_bits_that_it_has_among_others(day: tuple[np.ndarray, np.ndarray]) -> None:
    x, eligible = day
    np.testing.assert_array_equal(day_mean(x[:1], eligible[:1]), day_mean(x, eligible)[:1])


@REPEATABLE
@given(day=cross_sections(), places=st.lists(st.integers(0, 40), min_size=1, max_size=30), seed=st.integers(0, 99))
def test_stocks_without_a_row_change_no_bit_of_a_rank_or_a_groups_mean(
    day: tuple[np.ndarray, np.ndarray], places: list[int], seed: int
) -> None:
    x, eligible = day
    where = np.minimum(places, x.shape[1])
    group = np.random.default_rng(seed).integers(0, 4, x.shape)
    kept = np.insert(np.ones(x.shape[1], bool), where, False)
    wider, admitted = np.insert(x, where, np.nan, axis=1), np.insert(eligible, where, False, axis=1)
    np.testing.assert_array_equal(day_rank(wider, admitted)[:, kept], day_rank(x, eligible))
    wider_group = np.insert(group, where, 9, axis=1)
    np.testing.assert_array_equal(
        less_group_mean(wider, wider_group, admitted)[:, kept], less_group_mean(x, group, eligible)
    )


@REPEATABLE
@given(day=cross_sections(), seed=st.integers(0, 99))
def test_less_a_groups_mean_equals_a_loop_and_is_missing_without_a_group(
    day: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    x, eligible = day
    group = np.random.default_rng(seed).integers(0, 4, x.shape)
    expected = np.full(x.shape, np.nan)
    for t, n in np.ndindex(x.shape):
        peers = eligible[t] & np.isfinite(x[t]) & (group[t] == group[t, n])
        if group[t, n] > 0 and peers.any():
            expected[t, n] = x[t, n] - x[t, peers].mean()
    np.testing.assert_allclose(less_group_mean(x, group, eligible), expected, atol=1e-13)


def test_a_stock_outside_the_universe_is_compared_with_it_but_does_not_move_it() -> None:
    x, eligible = np.array([[1.0, 3.0, 100.0]]), np.array([[True, True, False]])
    np.testing.assert_array_equal(less_day_mean(x, eligible), [[-1.0, 1.0, 98.0]])
    assert np.isnan(day_rank(x, eligible)[0, 2])


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_a_logarithm_or_ratio_that_does_not_exist_is_missing(value: float) -> None:
    assert np.isnan(log(np.array([value]))).all()
    assert np.isnan(ratio(np.ones(1), np.array([value]))).all()


@pytest.fixture
def bars() -> Bars:
    """3 days x 3 stocks; stock 1 has no close on day 1, stock 2 is outside the universe."""
    close = np.array([[10.0, 20.0, 5.0], [11.0, np.nan, 50.0], [12.1, 22.0, 500.0]])
    volume = np.full((3, 3), 100.0)
    return Bars(
        open=close,
        high=close,
        low=close,
        close=close,
        volume=volume,
        turnover=close * volume,
        sector=np.ones((3, 3), np.int64),
        eligible=np.array([[True, True, False]] * 3),
        dates=np.array(["2024-01-04", "2024-01-05", "2024-01-08"], "datetime64[D]"),
    )


def test_a_return_needs_both_closes(bars: Bars) -> None:
    assert np.isfinite(bars.returns).tolist() == [[False] * 3, [True, False, True], [True, False, True]]
    np.testing.assert_allclose(bars.returns[1:, 0], np.log([1.1, 1.1]))


def test_the_market_is_the_universes_mean_return_and_the_same_for_every_stock(bars: Bars) -> None:
    assert np.isnan(bars.market[0]).all()
    np.testing.assert_allclose(bars.market[1:], np.full((2, 3), np.log(1.1)))
