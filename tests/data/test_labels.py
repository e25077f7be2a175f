"""Labels: exact forward returns, entries that somebody could have traded, and the last price of what stops trading."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.labels import LOCKED_MOVE, forward_returns, tradable_entries

REPEATABLE = settings(max_examples=60, deadline=None, derandomize=True, database=None)
NAN = np.nan


def column(*values: float) -> np.ndarray:
    """[D, 1] of one stock."""
    return np.array(values, float)[:, None]


def from_closes(close: np.ndarray, horizons: tuple[int, ...] = (1,), delay: int = 1) -> np.ndarray:
    """Labels from closes, each of which could be traded."""
    return forward_returns(close, close, np.isfinite(close), horizons, delay)


def random_closes(num_days: int = 60, num_stocks: int = 8, seed: int = 0) -> np.ndarray:
    """[D, N] with missing days, late listings and early ends."""
    rng = np.random.default_rng(seed)
    close = 20 * np.exp(np.cumsum(rng.normal(0, 0.02, (num_days, num_stocks)), axis=0))
    close[rng.random(close.shape) < 0.1] = NAN
    close[:20, 0], close[35:, 1] = NAN, NAN
    return close


def naive(
    entry: np.ndarray, exits: np.ndarray, close: np.ndarray, tradable: np.ndarray, horizon: int, delay: int
) -> np.ndarray:
    """One cell after the other."""
    out = np.full(close.shape, NAN)
    for t, n in np.ndindex(close.shape):
        enter, leave = t + delay, t + delay + horizon
        if leave >= len(close) or not tradable[enter, n]:
            continue
        later = np.flatnonzero(np.isfinite(close[enter + 1 : leave + 1, n]))
        if len(later):
            sold = exits[leave, n] if np.isfinite(exits[leave, n]) else close[enter + 1 + later[-1], n]
            out[t, n] = sold / entry[enter, n] - 1
    return out


@pytest.mark.parametrize("delay", [0, 1, 3])
@pytest.mark.parametrize("horizon", [1, 5, 20])
@pytest.mark.parametrize("price", ["close", "open"])
def test_labels_equal_a_loop_over_cells(price: str, horizon: int, delay: int) -> None:
    close = random_closes()
    tradable = np.isfinite(close) & (np.random.default_rng(1).random(close.shape) < 0.9)
    traded = close if price == "close" else close * 1.03
    labels = forward_returns(traded, close, tradable, (1, horizon) if horizon > 1 else (1,), delay)
    np.testing.assert_allclose(labels[..., -1], naive(traded, traded, close, tradable, horizon, delay), rtol=1e-6)


def test_a_label_is_the_return_from_the_entry_after_the_delay_to_the_exit_a_horizon_later() -> None:
    close = column(10, 11, 13, 17, 19, 23)
    np.testing.assert_allclose(from_closes(close, (1, 2), delay=0)[0, 0], [11 / 10 - 1, 13 / 10 - 1])
    np.testing.assert_allclose(from_closes(close, (1, 2), delay=1)[0, 0], [13 / 11 - 1, 17 / 11 - 1])
    np.testing.assert_allclose(from_closes(close, (1, 2), delay=3)[0, 0], [19 / 17 - 1, 23 / 17 - 1])


def test_entry_and_exit_at_the_open_are_the_opens_of_their_days() -> None:
    opened, close = column(9, 10, 12, 15), column(10, 11, 13, 17)
    labels = forward_returns(opened, close, np.isfinite(close), (1,), 1, at_open=True)
    np.testing.assert_allclose(labels[:, 0, 0], [12 / 10 - 1, 15 / 12 - 1, NAN, NAN])


def test_a_label_whose_exit_lies_beyond_the_panel_is_unknown() -> None:
    labels = from_closes(random_closes(), (1, 5, 20), delay=1)
    for k, horizon in enumerate((1, 5, 20)):
        assert np.isnan(labels[60 - horizon - 1 :, :, k]).all()
        assert np.isfinite(labels[60 - horizon - 2, :, k]).any()


@pytest.mark.parametrize("horizon", [10, 400])
def test_a_horizon_beyond_the_whole_panel_gives_no_label(horizon: int) -> None:
    assert np.isnan(from_closes(column(1, 2, 3), (horizon,))).all()


def test_a_delisted_stock_keeps_its_terminal_return() -> None:
    labels = from_closes(column(10, 10, 8, 2, NAN, NAN, NAN, NAN), (5,), delay=1)
    assert labels[0, 0, 0] == pytest.approx(2 / 10 - 1)
    assert labels[1, 0, 0] == pytest.approx(2 / 8 - 1)
    assert np.isnan(labels[2:]).all()  # entry on the last day, or after it: nothing follows


def test_a_stock_that_ends_on_the_day_after_an_open_entry_keeps_its_terminal_return() -> None:
    opened, close = column(9, 10, 12, NAN, NAN), column(10, 11, 6, NAN, NAN)
    labels = forward_returns(opened, close, np.isfinite(close), (1,), 1, at_open=True)
    assert labels[0, 0, 0] == pytest.approx(12 / 10 - 1)


def test_a_stock_that_ends_at_the_close_of_its_open_entry_keeps_that_days_return() -> None:
    opened, close = column(9, 10, 12, NAN, NAN), column(10, 11, 6, NAN, NAN)
    labels = forward_returns(opened, close, np.isfinite(close), (1,), 1, at_open=True)
    assert labels[1, 0, 0] == pytest.approx(6 / 12 - 1)  # the last close after the entry


def test_a_missing_exit_day_is_bridged_by_the_last_close_after_the_entry() -> None:
    labels = from_closes(column(10, 11, 12, NAN, 14, 15), (2,), delay=1)
    assert labels[0, 0, 0] == pytest.approx(12 / 11 - 1)
    assert labels[1, 0, 0] == pytest.approx(14 / 12 - 1)


def test_a_missing_entry_day_has_no_label() -> None:
    labels = from_closes(column(10, 11, NAN, 13, 14, 15), (1,), delay=1)
    assert np.isfinite(labels[:, 0, 0]).tolist() == [False, False, True, True, False, False]


def test_an_untradable_entry_has_no_label_and_an_untradable_exit_has_one() -> None:
    close = column(10, 11, 12, 13, 14)
    tradable = np.array([True, True, False, True, True])[:, None]
    labels = forward_returns(close, close, tradable, (1,), 1)
    assert np.isfinite(labels[:, 0, 0]).tolist() == [True, False, True, False, False]


@REPEATABLE
@given(last=st.integers(0, 59), delay=st.sampled_from([0, 1, 3]), seed=st.integers(0, 20), poison=st.booleans())
def test_days_after_an_exit_change_no_label(last: int, delay: int, seed: int, poison: bool) -> None:
    close, horizons = random_closes(seed=seed), (1, 5, 20)
    other = close.copy()
    other[last + 1 :] = np.where(np.random.default_rng(seed).random(other[last + 1 :].shape) < 0.5, NAN, 7e3)
    before = from_closes(close, horizons, delay)
    after = from_closes(other if poison else other[: last + 1], horizons, delay)
    for k, horizon in enumerate(horizons):
        known = max(0, last + 1 - delay - horizon)
        np.testing.assert_array_equal(after[:known, :, k], before[:known, :, k])
        if not poison:
            assert np.isnan(after[known:, :, k]).all()


# --- which entries could be traded


def bars_of(close: np.ndarray, **others: np.ndarray) -> dict[str, np.ndarray]:
    return {"close": close, **others}


def test_a_day_without_a_close_or_volume_is_untradable() -> None:
    bars = bars_of(column(10, NAN, 10, 10), volume=column(5, 5, 0, NAN))
    assert tradable_entries(bars)[:, 0].tolist() == [True, False, False, False]


def test_without_a_volume_column_every_close_counts_as_traded() -> None:
    assert tradable_entries(bars_of(column(10, NAN, 10)))[:, 0].tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("close", "high", "low", "tradable"),
    [
        (103.01, 103.01, 103.01, False),  # locked up
        (96.99, 96.99, 96.99, False),  # locked down
        (102.0, 102.0, 102.0, True),  # hardly moved: an illiquid day
        (110.0, 110.0, 109.0, True),  # a large move with a range
        (100.0, 100.0, 100.0, True),  # stood still
    ],
)
def test_a_day_without_a_range_far_from_the_close_before_is_limit_locked(
    close: float, high: float, low: float, tradable: bool
) -> None:
    assert LOCKED_MOVE == 0.03
    bars = bars_of(column(100, close), high=column(101, high), low=column(99, low), volume=column(5, 5))
    assert tradable_entries(bars)[:, 0].tolist() == [True, tradable]


@pytest.mark.parametrize(("num_stocks", "num_flat", "locked"), [(12, 6, True), (12, 7, False), (9, 9, True)])
def test_where_most_stocks_have_no_range_the_bars_hold_closes_and_no_lock_is_seen(
    num_stocks: int, num_flat: int, locked: bool
) -> None:
    close = np.repeat([[100.0], [110.0]], num_stocks, axis=1)
    high, low = close + 1, close - 1
    high[1, :num_flat] = low[1, :num_flat] = 110
    tradable = tradable_entries(bars_of(close, high=high, low=low))
    assert (~tradable[1, :num_flat]).all() == locked
    assert tradable[1, num_flat:].all()


def test_the_first_day_of_a_stock_is_not_taken_for_locked() -> None:
    bars = bars_of(column(NAN, 100), high=column(NAN, 100), low=column(NAN, 100))
    assert tradable_entries(bars)[1, 0]


def test_a_lock_after_a_missing_day_is_measured_from_the_last_close() -> None:
    bars = bars_of(column(100, NAN, 110), high=column(101, NAN, 110), low=column(99, NAN, 110))
    assert not tradable_entries(bars)[2, 0]
