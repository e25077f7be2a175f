"""Trailing-window statistics of [T, N] arrays, built by doubling: a window of 2w days is two windows of w.

Every value is a fixed tree of operations on exactly the days of its window. So it is the same bit for bit wherever a
chunk of days begins, no later row can touch it, and no error drifts along as in running sums. A value is missing
unless two thirds of its window, rounded down, are known.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

KNOWN_SHARE = 2 / 3


def shift(x_TN: np.ndarray, days: int) -> np.ndarray:
    """The value `days` rows earlier, NaN before the first row."""
    out = np.full_like(x_TN, np.nan)
    if days < len(x_TN):
        out[days:] = x_TN[: len(x_TN) - days]
    return out


def window_sum(x_TN: np.ndarray, days: int) -> np.ndarray:
    """Sum over the last `days` rows; missing values count as zero, and so do rows before the first."""
    return _doubled(np.where(np.isfinite(x_TN), x_TN, 0.0), days, np.add, 0.0)


def window_count(x_TN: np.ndarray, days: int) -> np.ndarray:
    """Number of known values among the last `days` rows."""
    return _doubled(np.isfinite(x_TN).astype(np.float64), days, np.add, 0.0)


def window_mean(x_TN: np.ndarray, days: int) -> np.ndarray:
    count = window_count(x_TN, days)
    return np.divide(window_sum(x_TN, days), count, out=np.full_like(x_TN, np.nan), where=count >= enough(days))


def window_deviation(x_TN: np.ndarray, days: int) -> np.ndarray:
    """Standard deviation (n - 1) over the last `days` rows."""
    return np.sqrt(window_covariance(x_TN, x_TN, days))


def window_covariance(x_TN: np.ndarray, y_TN: np.ndarray, days: int) -> np.ndarray:
    """Covariance (n - 1) over the days on which both are known."""
    both = np.isfinite(x_TN) & np.isfinite(y_TN)
    x, y = np.where(both, x_TN, np.nan), np.where(both, y_TN, np.nan)
    count = window_count(x, days)
    product = window_sum(x * y, days) - window_sum(x, days) * window_sum(y, days) / np.maximum(count, 1)
    if x_TN is y_TN:
        product = np.maximum(product, 0.0)
    return np.where(count >= enough(days), product / np.maximum(count - 1, 1), np.nan)


def window_max(x_TN: np.ndarray, days: int) -> np.ndarray:
    largest = _doubled(np.where(np.isfinite(x_TN), x_TN, -np.inf), days, np.maximum, -np.inf)
    return np.where(window_count(x_TN, days) >= enough(days), largest, np.nan)


def window_min(x_TN: np.ndarray, days: int) -> np.ndarray:
    return -window_max(-x_TN, days)


def exponential_mean(x_TN: np.ndarray, span: int) -> np.ndarray:
    """Mean with weights (1 - 2 / (span + 1))^age, cut off after 4 x span days, where 0.03 % of the weight is left."""
    decay = 1 - 2 / (span + 1)
    known = np.isfinite(x_TN)
    total = _decayed(np.where(known, x_TN, 0.0), 4 * span, decay)
    weight = _decayed(known.astype(np.float64), 4 * span, decay)
    return np.divide(total, weight, out=np.full_like(x_TN, np.nan), where=window_count(x_TN, span) >= enough(span))


def enough(days: int) -> int:
    """Known values below which a window's statistic is missing."""
    return max(2, int(days * KNOWN_SHARE))


Join = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _doubled(x_TN: np.ndarray, days: int, join: Join, neutral: float) -> np.ndarray:
    """Folds the last `days` rows with an associative operation, in O(log days) passes."""
    power, width, folded, covered = x_TN, 1, None, 0
    while True:
        if days & width:
            piece = _later(power, covered, neutral)
            folded = piece if folded is None else join(folded, piece)
            covered += width
        if covered == days:
            assert folded is not None
            return folded
        power, width = join(power, _later(power, width, neutral)), 2 * width


def _decayed(x_TN: np.ndarray, days: int, decay: float) -> np.ndarray:
    """Sum of decay^age x over the last `days` rows (rounded up to a power of two)."""
    power, width = x_TN, 1
    while width < days:
        power, width = power + decay**width * _later(power, width, 0.0), 2 * width
    return power


def _later(x_TN: np.ndarray, days: int, fill: float) -> np.ndarray:
    if days == 0:
        return x_TN
    out = np.full_like(x_TN, fill)
    if days < len(x_TN):
        out[days:] = x_TN[: len(x_TN) - days]
    return out
