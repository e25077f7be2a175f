"""What scores would have earned: overlapping tranches, realised day by day, after costs.

A score of day t for horizon h is held from the close of day t + delay for h days, with 1/h of the capital. The h-day
label is no daily return: dividing its mean by its deviation inflates a Sharpe ratio by about sqrt(h).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from model.metrics import TOP_SHARE, TRADING_DAYS, tail_weights


class Earned(NamedTuple):
    """Of days on which all tranches are invested."""

    daily: np.ndarray  # [P] return on capital per day, long and short side of one each, after costs
    turnover: float  # traded share of capital per day, both sides
    sharpe: float  # annual; NaN where fewer than two days were earned


def tranches(
    score_DN: np.ndarray,
    tradable_DN: np.ndarray,
    return_TN: np.ndarray,
    horizon: int,
    delay: int,
    cost_bps: float,
    share: float = TOP_SHARE,
) -> Earned:
    """Long the highest and short the lowest share of scores, equally weighted, in `horizon` overlapping tranches.

    Args:
        score_DN: predictions of D consecutive days.
        tradable_DN: bool, stocks that may be bought or sold on those scores.
        return_TN: simple close-to-close returns of the same days and those after, T >= D; NaN counts as 0.
        horizon: days that a tranche is held.
        delay: closes between a score and its trade.
        cost_bps: one-way cost in hundredths of a percent of what is traded.
        share: of the stocks on each side.
    """
    days, stocks = score_DN.shape
    wanted_DN = np.zeros((days, stocks))
    for day in range(days):
        known = np.flatnonzero(tradable_DN[day])
        if len(known) > 1 and np.ptp(score_DN[day, known]) > 0:
            top, bottom = tail_weights(score_DN[day, known], share)
            wanted_DN[day, known] = top - bottom
    held = _held(wanted_DN, horizon)
    traded = np.abs(np.diff(held, axis=0, prepend=np.zeros((1, stocks)))).sum(axis=1)
    first, last = horizon - 1, min(days, len(return_TN) - delay - 1)
    earned = np.nan_to_num(return_TN[first + delay + 1 : last + delay + 1])
    daily = (held[first:last] * earned).sum(axis=1) - traded[first:last] * cost_bps / 1e4
    return Earned(daily, float(traded[first:last].mean()) if last > first else 0.0, sharpe_ratio(daily))


def sharpe_ratio(daily: np.ndarray) -> float:
    """Annual: mean over standard deviation of daily returns times the root of the trading days in a year."""
    if len(daily) < 2 or np.ptp(daily) == 0:
        return float("nan")
    return float(daily.mean() / daily.std(ddof=1) * np.sqrt(TRADING_DAYS))


def _held(wanted_DN: np.ndarray, horizon: int) -> np.ndarray:
    """Weights of all tranches together after each day's trade: the mean of the last `horizon` days' wishes: [D, N]."""
    total = np.cumsum(wanted_DN, axis=0)
    total[horizon:] = total[horizon:] - total[:-horizon]
    return total / horizon
