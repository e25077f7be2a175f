"""Metrics of daily cross-sections. Undefined is NaN for a day and never enters a mean as a number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

DailyMetric = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]


def rank_ic(score_DNK: np.ndarray, label_DNK: np.ndarray, mask_DNK: np.ndarray, min_stocks: int) -> np.ndarray:
    """Spearman correlation of scores and labels per day and horizon, ties averaged.

    Returns:
        [D, K]; NaN on days with fewer than `min_stocks` labels, or where scores or labels are constant.
    """
    return _daily(score_DNK, label_DNK, mask_DNK, min_stocks, lambda s, y: _pearson(ranks(s), ranks(y)))


def ic(score_DNK: np.ndarray, label_DNK: np.ndarray, mask_DNK: np.ndarray, min_stocks: int) -> np.ndarray:
    """Pearson correlation of scores and labels per day and horizon: [D, K], NaN as in `rank_ic`."""
    return _daily(score_DNK, label_DNK, mask_DNK, min_stocks, _pearson)


METRICS: dict[str, DailyMetric] = {"rank_ic": rank_ic, "ic": ic}


def ranks(values: np.ndarray) -> np.ndarray:
    """Average ranks from 1, as scipy.stats.rankdata: [N] -> [N]; all NaN where any value is."""
    if np.isnan(values).any():
        return np.full(values.shape, np.nan)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def _daily(
    score: np.ndarray,
    label: np.ndarray,
    mask: np.ndarray,
    min_stocks: int,
    correlation: Callable[[np.ndarray, np.ndarray], float],
) -> np.ndarray:
    days, _, horizons = score.shape
    out = np.full((days, horizons), np.nan)
    for day in range(days):
        for k in range(horizons):
            usable = mask[day, :, k]
            if usable.sum() >= min_stocks:
                out[day, k] = correlation(score[day, usable, k], label[day, usable, k])
    return out


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:  # a rounded mean would leave a residue, and a correlation with it
        return float("nan")
    a = a.astype(np.float64) - a.mean(dtype=np.float64)
    b = b.astype(np.float64) - b.mean(dtype=np.float64)
    size = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / size) if size > 0 else float("nan")
