"""Forward returns: entry `delay` days after the features' day, exit `horizon` days after the entry.

A stock that stops trading keeps its terminal return: the exit is then the last close after the entry. An entry that
nobody could have traded has no label. Both are known on the exit day, so a cut of the panel changes no earlier label.
"""

from __future__ import annotations

import numpy as np

RECENT_DAYS = 5  # days that the close before may lie back
FLAT_SHARE, MIN_FOR_RANGES = 0.5, 10  # of so many stocks of a day, above which its bars are taken to have no ranges
LOCKED_MOVE = 0.03  # a day without a range, this far from the close before, stood at its price limit


def forward_returns(
    price: np.ndarray,
    close: np.ndarray,
    tradable: np.ndarray,
    horizons: tuple[int, ...],
    delay: int,
    at_open: bool = False,
) -> np.ndarray:
    """Simple returns from the price at t + delay to the price at t + delay + h.

    Args:
        price: [D, N] prices of entry and exit, NaN where missing.
        close: [D, N] closes: the last one after the entry is the exit of a stock without a row on the exit day.
        tradable: [D, N] bool, see `tradable_entries`.
        horizons: K horizons in trading days.
        delay: trading days between the features' close and the entry.
        at_open: whether `price` is the open, so that the entry day's own close comes after it.

    Returns:
        [D, N, K] float32, NaN where a price is missing, the entry was untradable or the exit lies beyond the panel.
    """
    num_days, num_stocks = close.shape
    labels = np.full((num_days, num_stocks, len(horizons)), np.nan, dtype=np.float32)
    last_day, last_close = _last_known(close)
    bought = np.where(tradable, price, np.nan)
    for k, horizon in enumerate(horizons):
        count = num_days - delay - horizon
        if count <= 0:
            continue
        enter, leave = slice(delay, delay + count), slice(delay + horizon, delay + horizon + count)
        sold = np.where(np.isfinite(price[leave]), price[leave], last_close[leave])
        earliest = np.arange(delay, delay + count)[:, None] + (0 if at_open else 1)
        after_entry = last_day[leave] >= earliest
        with np.errstate(divide="ignore", invalid="ignore"):  # impossible prices are the inspection's to refuse
            labels[:count, :, k] = np.where(after_entry, sold / bought[enter] - 1, np.nan)
    return labels


def tradable_entries(bars: dict[str, np.ndarray]) -> np.ndarray:
    """[D, N] bool: the day had volume and was not locked at a price limit, as far as the bars that are there tell."""
    close = bars["close"]
    tradable = np.isfinite(close)
    if "volume" in bars:
        tradable &= bars["volume"] > 0
    if "high" in bars and "low" in bars:
        before = _recent(close)
        with np.errstate(invalid="ignore", divide="ignore"):
            moved = np.abs(close / before - 1) >= LOCKED_MOVE
        tradable &= ~(is_flat(bars) & moved & ~without_ranges(bars)[:, None])
    return tradable


def is_flat(bars: dict[str, np.ndarray]) -> np.ndarray:
    """[D, N] bool: the highest price of the day was its lowest."""
    return np.asarray(bars["high"] == bars["low"])


def without_ranges(bars: dict[str, np.ndarray]) -> np.ndarray:
    """[D] bool: most stocks are flat, so that the bars hold one price, whatever their columns say. A market whose most
    stocks stood at their limits all day has not been seen, and a lock cannot be told from a close of such a day."""
    known = np.isfinite(bars["high"]).sum(axis=1)
    return np.asarray((known >= MIN_FOR_RANGES) & (is_flat(bars).sum(axis=1) > FLAT_SHARE * known))


def _recent(close: np.ndarray) -> np.ndarray:
    """The close of the row before, `RECENT_DAYS` back at most, so that it does not depend on where the rows begin."""
    before = np.full(close.shape, np.nan)
    for days in range(RECENT_DAYS, 0, -1):
        earlier = np.full(close.shape, np.nan)
        earlier[days:] = close[: max(0, len(close) - days)]
        before = np.where(np.isfinite(earlier), earlier, before)
    return before


def _last_known(close: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(day [D, N], close [D, N]) of the last row at or before each day; day -1 before the first."""
    day = np.where(np.isfinite(close), np.arange(len(close))[:, None], -1)
    day = np.maximum.accumulate(day, axis=0)
    value = np.take_along_axis(close, np.maximum(day, 0), axis=0)
    return day, np.where(day >= 0, value, np.nan)
