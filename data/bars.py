"""Bars: the days that feature functions see, and the series that many of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from data.rolling import shift


@dataclass(frozen=True, eq=False)
class Bars:
    """T days x N stocks of prices, NaN where missing; the last rows are those that features are asked for."""

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    turnover: np.ndarray  # traded value; close x volume where the panel has none
    sector: np.ndarray  # [T, N] int16, 0 where unknown; may change by date
    eligible: np.ndarray  # [T, N] bool: in the universe on the day
    dates: np.ndarray  # [T] datetime64[D]

    @cached_property
    def log_close(self) -> np.ndarray:
        return log(self.close)

    @cached_property
    def returns(self) -> np.ndarray:
        """[T, N] one-day log returns, missing unless both closes are there."""
        return self.log_close - shift(self.log_close, 1)

    @cached_property
    def market(self) -> np.ndarray:
        """[T, N] equal-weighted mean of the one-day log returns of the universe, the same for every stock."""
        return np.broadcast_to(day_mean(self.returns, self.eligible)[:, None], self.returns.shape)

    @cached_property
    def log_volume(self) -> np.ndarray:
        return log(self.volume)

    @cached_property
    def log_turnover(self) -> np.ndarray:
        return log(self.turnover)


Feature = Callable[[Bars], np.ndarray]


def log(x: np.ndarray) -> np.ndarray:
    """Natural logarithm, NaN for zero and less."""
    return np.log(x, out=np.full_like(x, np.nan), where=x > 0)


def ratio(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x / y, NaN where y is not positive."""
    with np.errstate(invalid="ignore"):  # infinite input is the inspection's to refuse
        return np.divide(x, y, out=np.full_like(x, np.nan), where=y > 0)


def day_mean(x_TN: np.ndarray, eligible: np.ndarray) -> np.ndarray:
    """[T] mean of each day's universe, summed in the order of the codes: a stock without a row changes no bit."""
    known = np.isfinite(x_TN) & eligible
    total = np.add.accumulate(np.where(known, x_TN, 0.0), axis=1)[:, -1]
    count = known.sum(axis=1)
    return np.divide(total, count, out=np.full(len(x_TN), np.nan), where=count > 0)


def less_day_mean(x_TN: np.ndarray, eligible: np.ndarray) -> np.ndarray:
    return x_TN - day_mean(x_TN, eligible)[:, None]


def less_group_mean(x_TN: np.ndarray, group_TN: np.ndarray, eligible: np.ndarray) -> np.ndarray:
    """Minus the mean of the universe in the stock's group that day; missing for a stock of no known group."""
    known = np.isfinite(x_TN) & eligible & (group_TN > 0)
    num_groups = int(group_TN.max(initial=0)) + 1
    cell = np.arange(len(x_TN))[:, None] * num_groups + group_TN
    total = np.bincount(cell[known], weights=x_TN[known], minlength=len(x_TN) * num_groups)
    count = np.bincount(cell[known], minlength=len(x_TN) * num_groups)
    mean = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return np.where(group_TN > 0, x_TN - mean[cell], np.nan)


def day_rank(x_TN: np.ndarray, eligible: np.ndarray) -> np.ndarray:
    """Rank within the day's universe, -0.5 to 0.5, ties at their mean; missing outside it."""
    values = np.where(eligible & np.isfinite(x_TN), x_TN, np.inf)
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    place = np.arange(values.shape[1])
    starts = np.concatenate([np.ones((len(values), 1), bool), ordered[:, 1:] != ordered[:, :-1]], axis=1)
    first = np.maximum.accumulate(np.where(starts, place, 0), axis=1)
    ends = np.concatenate([starts[:, 1:], np.ones((len(values), 1), bool)], axis=1)
    last = np.minimum.accumulate(np.where(ends, place, len(place))[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty_like(x_TN)
    np.put_along_axis(ranks, order, (first + last) / 2, axis=1)
    count = np.isfinite(values).sum(axis=1, keepdims=True)
    return np.where(np.isfinite(values), (ranks + 0.5) / np.maximum(count, 1) - 0.5, np.nan)
