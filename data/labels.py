"""Forward returns: entry at the close `delay` days after the features, exit `horizon` days after the entry."""

from __future__ import annotations

import numpy as np


def forward_returns(close: np.ndarray, horizons: tuple[int, ...], delay: int) -> np.ndarray:
    """Simple returns from close[t + delay] to close[t + delay + h].

    Args:
        close: [D, N] closes, NaN where missing.
        horizons: K horizons in trading days.
        delay: trading days between the features' close and the entry.

    Returns:
        [D, N, K] float32, NaN where either close is missing or beyond the panel.
    """
    num_days, num_stocks = close.shape
    labels = np.full((num_days, num_stocks, len(horizons)), np.nan, dtype=np.float32)
    for k, horizon in enumerate(horizons):
        last = num_days - delay - horizon
        if last > 0:
            entry, exit_ = close[delay : delay + last], close[delay + horizon : delay + horizon + last]
            labels[:last, :, k] = exit_ / entry - 1
    return labels


def daily_zscore(labels: np.ndarray) -> np.ndarray:
    """Centres and scales each day's cross-section: [D, N, K] -> [D, N, K]; NaN stays NaN.

    The network ranks stocks within a day, so the market's move and its volatility are removed from the target.
    A day with fewer than two labels has no scale and becomes NaN.
    """
    finite = np.isfinite(labels)
    count = finite.sum(axis=1, keepdims=True)
    filled = np.where(finite, labels, 0.0).astype(np.float64)
    mean = filled.sum(axis=1, keepdims=True) / np.maximum(count, 1)
    centred = np.where(finite, filled - mean, 0.0)
    scale = np.sqrt((centred**2).sum(axis=1, keepdims=True) / np.maximum(count - 1, 1))
    usable = finite & (count >= 2) & (scale > 0)
    return np.where(usable, centred / np.where(scale > 0, scale, 1.0), np.nan).astype(np.float32)
