"""Which market a panel is of: a sketch of its cells, by which two panels are matched however much they overlap.

The ledger of trials and the reads of the hold-out go by market. So a column more, a day more or another back-adjustment
of the prices must not make a new one: cells are (code, date), and what is compared is the day's return, or the nearest
target where a panel brings neither prices nor returns.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xxhash

SKETCH = 1024  # cells that are kept: those with the smallest hashes
SAME_RETURN = 2e-4  # absolute difference of two one-day returns that still are one
NEEDED = 20  # common cells below which nothing can be said


class Overlap(NamedTuple):
    """How two panels overlap."""

    cells: float  # share of the smaller panel's cells that the other has too
    returns: float  # share of the common cells whose returns agree

    @property
    def is_same_market(self) -> bool:
        return self.cells >= 0.3 and self.returns >= 0.8


class MarketSketch(NamedTuple):
    """The cells with the smallest hashes (a bottom-k sketch, Cohen & Kaplan 2007) and their returns."""

    hashes: np.ndarray  # [S] uint64, ascending
    returns: np.ndarray  # [S] float32
    num_cells: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "hashes": [int(value) for value in self.hashes],
            "returns": [round(float(value), 6) for value in self.returns],
            "num_cells": self.num_cells,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> MarketSketch:
        return cls(
            np.array(content["hashes"], np.uint64), np.array(content["returns"], np.float32), content["num_cells"]
        )

    def overlap(self, other: MarketSketch) -> Overlap:
        """Estimates the overlap from the cells that both sketches would have kept."""
        if not len(self.hashes) or not len(other.hashes):
            return Overlap(0.0, 0.0)
        bound = min(_bound(self), _bound(other))
        common, mine, theirs = np.intersect1d(self.hashes, other.hashes, return_indices=True)
        below = common <= bound
        fewest = min(int((self.hashes <= bound).sum()), int((other.hashes <= bound).sum()))
        if fewest == 0 or below.sum() < min(NEEDED, fewest):
            return Overlap(float(below.sum()) / max(fewest, 1), 0.0)
        apart = np.abs(self.returns[mine[below]] - other.returns[theirs[below]])
        return Overlap(float(below.sum()) / fewest, float((apart <= SAME_RETURN).mean()))


def sketch(dates: np.ndarray, codes: np.ndarray, returns: np.ndarray) -> MarketSketch:
    """The sketch of returns [D, N]; build the whole from chunks of days with `merge`."""
    salt = np.array([xxhash.xxh3_64_intdigest(str(code).encode()) for code in codes], np.uint64)
    days = dates.astype("datetime64[D]").astype(np.int64).astype(np.uint64)
    hashes = _mixed(salt[None, :] ^ _mixed(days)[:, None])
    known = np.isfinite(returns)
    found, values = hashes[known], returns[known]
    order = np.argsort(found)[:SKETCH]
    return MarketSketch(found[order], values[order].astype(np.float32), int(known.sum()))


def merge(a: MarketSketch, b: MarketSketch) -> MarketSketch:
    """The sketch of two disjoint sets of cells together."""
    hashes, returns = np.concatenate([a.hashes, b.hashes]), np.concatenate([a.returns, b.returns])
    order = np.argsort(hashes)[:SKETCH]
    return MarketSketch(hashes[order], returns[order], a.num_cells + b.num_cells)


def _bound(one: MarketSketch) -> np.uint64:
    """Hash up to which the sketch knows every cell."""
    return one.hashes[-1] if one.num_cells > len(one.hashes) else np.uint64(np.iinfo(np.uint64).max)


def _mixed(x: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014): a bijection that spreads every bit."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
