"""Whether columns still look as they did: PSI and KS of a stretch of days, held against all earlier stretches.

Rows of a panel are not independent: on one day a whole market moves together, so the chi-squared bound that the PSI of
independent rows has (Yurdakul, Naranjo 2020, Journal of Risk Model Validation 14(4)) is passed every month. The measure
here is the column's own past: the share of earlier stretches, as long, that differed from the rest as much.

Shape legend: F columns, W stretches of days, B bins, the last of which counts missing values; n rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
PERCENTILES = np.arange(1, 100)
NUM_BINS = len(PERCENTILES) + 2  # between them, and one of missing values
PER_DECILE = 10
USUAL = 0.9  # quantile of the past that a column's drift is measured in
HALF = 0.5  # of a row, which every bin has beside its own, so that an empty one has a logarithm


def edges_of(values_nF: NDArray) -> NDArray:
    """[F, 99] percentiles of each column; 0 where nothing is known."""
    empty = ~np.isfinite(values_nF).any(axis=0)
    filled = np.where(empty, np.float32(0), values_nF)
    return np.nanpercentile(filled, PERCENTILES, axis=0).T.astype(np.float32)


def count(values_nF: NDArray, edges_FE: NDArray) -> NDArray[np.int64]:
    """[F, B] rows in each bin; a value that is an edge lies above it."""
    counts = np.empty((len(edges_FE), NUM_BINS), np.int64)
    for f, edges in enumerate(edges_FE):
        column = values_nF[:, f]
        known = column[np.isfinite(column)]
        counts[f, :-1] = np.bincount(np.searchsorted(edges, known, side="right"), minlength=NUM_BINS - 1)
        counts[f, -1] = len(column) - len(known)
    return counts


def psi(expected_FB: NDArray, found_FB: NDArray) -> Array:
    """[F] population stability index by deciles: sum over bins of (q - p) ln(q / p); missing values are a bin.

    Lewis 1994, "An Introduction to Credit Scoring": below .1 nothing, from .25 on a shift that matters.
    """
    p, q = _shares(_deciles(expected_FB)), _shares(_deciles(found_FB))
    return np.asarray(((q - p) * np.log(q / p)).sum(axis=1))


def ks(expected_FB: NDArray, found_FB: NDArray) -> Array:
    """[F] Kolmogorov and Smirnov's largest difference of distributions, at percentiles, of what is known."""
    p, q = (_distribution(np.asarray(side[:, :-1], np.float64)) for side in (expected_FB, found_FB))
    return np.asarray(np.abs(p - q).max(axis=1))


@dataclass(frozen=True, eq=False)
class Drift:
    """Of one stretch of days against what was learned from."""

    columns: pd.DataFrame  # by name: psi, usual_psi, ks, usual_ks, missing, usual_missing, alike; largest first
    num_stretches: int  # W, that it was held against
    num_alike: int  # of them, in which some column stood out as much

    @property
    def p_value(self) -> float:
        """Of a stretch like the earlier ones: (1 + alike) / (W + 1)."""
        return (1 + self.num_alike) / (1 + self.num_stretches)


def drift(names: list[str], history_WFB: NDArray, found_FB: NDArray) -> Drift:
    """Every column's PSI and KS, and how often the past had the like.

    Each earlier stretch is held against all others together, as the new one is held against all of them. What stands
    out is the column whose PSI is most times its own usual one, and the same of every earlier stretch: where stretches
    are exchangeable the new one has no like among W with probability 1 / (W + 1), however the columns depend on each
    other.

    Args:
        names: of the F columns.
        history_WFB: counts, at least two stretches.
        found_FB: counts of the new one.
    """
    total = history_WFB.sum(axis=0)
    past = [(total - each, each) for each in history_WFB]
    past_psi, past_ks = (np.stack([measure(*pair) for pair in past]) for measure in (psi, ks))
    now_psi, now_ks = psi(total, found_FB), ks(total, found_FB)
    usual_psi, usual_ks = (np.quantile(each, USUAL, axis=0) for each in (past_psi, past_ks))
    unit = np.maximum(usual_psi, np.median(usual_psi) * 0.1 + 1e-6)  # no column is usually without any
    columns = pd.DataFrame(
        {
            "psi": now_psi,
            "usual_psi": usual_psi,
            "ks": now_ks,
            "usual_ks": usual_ks,
            "missing": _missing(found_FB),
            "usual_missing": np.quantile(np.stack([_missing(each) for each in history_WFB]), USUAL, axis=0),
            "alike": (past_psi >= now_psi).mean(axis=0),
            "times": now_psi / unit,
        },
        index=names,
    )
    most = (past_psi / unit).max(axis=1)
    num_alike = int((most >= columns["times"].max()).sum())
    return Drift(columns.sort_values("times", ascending=False), len(history_WFB), num_alike)


def _deciles(counts_FB: NDArray) -> Array:
    """[F, 11]: ten percentiles together, then the missing."""
    inner = counts_FB[:, :-1].reshape(len(counts_FB), -1, PER_DECILE).sum(axis=2)
    return np.concatenate([inner, counts_FB[:, -1:]], axis=1).astype(np.float64)


def _shares(counts_FD: Array) -> Array:
    """Each bin with half a row more; bins that both sides lack differ in nothing that counts."""
    raised = counts_FD + HALF
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _distribution(counts_FB: Array) -> Array:
    return np.asarray(counts_FB.cumsum(axis=1) / np.maximum(counts_FB.sum(axis=1, keepdims=True), 1))


def _missing(counts_FB: NDArray) -> Array:
    return np.asarray(counts_FB[:, -1] / np.maximum(counts_FB.sum(axis=1), 1))
