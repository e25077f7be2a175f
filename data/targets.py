"""From a day's forward returns to what the network learns: winsorise, scale, centre, shape, in this order.

Each day stands by itself, so targets are computed once per store and settings, and mapped by every trial.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.special import ndtri

from data.bars import day_rank
from data.cache import digest, made_once
from data.config import LabelConfig

TARGETS_VERSION = 1  # raise when the same settings give other targets
STRETCH_BYTES = 16 << 20
ROUNDING = 1e-9  # deviation relative to the size of the labels below which they are all the same


def open_targets(
    store: Path,
    labels_DNK: np.ndarray,
    eligible_DN: np.ndarray,
    sector_DN: np.ndarray,
    volatility_DN: np.ndarray,
    config: LabelConfig,
) -> np.ndarray:
    """[D, N, K] float32 targets of every day, mapped; one process computes them, the others wait."""
    key = digest([TARGETS_VERSION, config.model_dump(mode="json")])

    def compute(path: Path) -> None:
        shape = labels_DNK.shape
        out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        width = max(1, STRETCH_BYTES // max(1, 4 * shape[1] * shape[2]))
        for start in range(0, len(out), width):
            days = slice(start, start + width)
            out[days] = day_targets(labels_DNK[days], eligible_DN[days], sector_DN[days], volatility_DN[days], config)
        out.flush()

    return np.load(made_once(store / "targets" / f"{key}.npy", compute), mmap_mode="r")


def day_targets(
    labels_BNK: np.ndarray,
    eligible_BN: np.ndarray,
    sector_BN: np.ndarray,
    volatility_BN: np.ndarray,
    config: LabelConfig,
) -> np.ndarray:
    """Targets [B, N, K] of the stocks that may be ranked on each day, NaN elsewhere.

    Args:
        labels_BNK: forward returns, NaN where unknown.
        eligible_BN: bool, in the universe on the day.
        sector_BN: int, 0 where unknown.
        volatility_BN: trailing volatility of one-day returns, known on the day.
        config: which transforms.
    """
    y = np.where(eligible_BN[..., None], labels_BNK, np.nan).astype(np.float64)
    if config.winsorise:
        y = _winsorised(y, config.winsorise)
    if config.scale_by_volatility:
        y = y / np.where(volatility_BN > 0, volatility_BN, np.nan)[..., None]
    if config.centre == "day":
        y = y - _mean(y)
    elif config.centre == "sector":
        y = _less_sector_mean(y, sector_BN)
    if config.shape == "zscore":
        y = _zscored(y)
    elif config.shape == "rank_gaussian":
        y = _rank_gaussian(y)
    return y.astype(np.float32)


def _mean(y_BNK: np.ndarray) -> np.ndarray:
    """[B, 1, K] over the known stocks of a day, 0 where there is none."""
    known = np.isfinite(y_BNK)
    return np.where(known, y_BNK, 0.0).sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)


def _winsorised(y_BNK: np.ndarray, share: float) -> np.ndarray:
    known = np.isfinite(y_BNK).any(axis=1)  # a day without labels has no quantiles
    low, high = np.full(known.shape, -np.inf), np.full(known.shape, np.inf)
    for b, k in np.argwhere(known):
        low[b, k], high[b, k] = np.nanquantile(y_BNK[b, :, k], [share, 1 - share])
    return np.clip(y_BNK, low[:, None], high[:, None])


def _less_sector_mean(y_BNK: np.ndarray, sector_BN: np.ndarray) -> np.ndarray:
    """Minus the mean of the sector's stocks; those of no known sector are one sector of their own."""
    out = y_BNK.copy()
    for b in range(len(y_BNK)):
        for sector in np.unique(sector_BN[b]):
            members = sector_BN[b] == sector
            out[b, members] -= _mean(y_BNK[b : b + 1, members])[0]
    return out


def _zscored(y_BNK: np.ndarray) -> np.ndarray:
    """In units of the day's deviation around its mean; a day with fewer than two distinct labels has none."""
    known = np.isfinite(y_BNK)
    centred = np.where(known, y_BNK - _mean(y_BNK), 0.0)
    scale = np.sqrt((centred**2).sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True) - 1, 1))
    size = np.abs(np.where(known, y_BNK, 0.0)).max(axis=1, keepdims=True)
    varies = scale > ROUNDING * size
    return np.where(known & varies, y_BNK / np.where(varies, scale, 1.0), np.nan)


def _rank_gaussian(y_BNK: np.ndarray) -> np.ndarray:
    """Normal quantiles of the ranks, ties at their mean rank."""
    out = np.full(y_BNK.shape, np.nan)
    for k in range(y_BNK.shape[2]):
        out[..., k] = ndtri(day_rank(y_BNK[..., k], np.ones(y_BNK.shape[:2], bool)) + 0.5)
    return out
