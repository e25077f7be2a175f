"""How a network's features were distributed while it learned, stretch by stretch: what drift is measured against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.store import MarketStore
from reports.monitoring.drift import count, edges_of

STRETCH = 20  # days that are looked at together
MOST_STRETCHES = 60  # the last ones: five years
LEAST_STRETCHES = 3  # of the past that a drift is measured by
SAMPLED_ROWS = 100_000  # by which percentiles are taken


@dataclass(frozen=True, eq=False)
class Baseline:
    """W stretches of days x F features x B bins."""

    names: list[str]
    edges: np.ndarray  # [F, B - 2] float32
    counts: np.ndarray  # [W, F, B] stock-days
    num_stocks: float  # median number of stocks in the universe on a day

    def save(self, path: Path) -> None:
        """As .npz, without pickle."""
        np.savez_compressed(
            path,
            names=np.array(self.names),
            edges=self.edges,
            counts=self.counts.astype(np.uint32),
            num_stocks=np.array(self.num_stocks),
        )

    @classmethod
    def load(cls, path: Path) -> Baseline:
        with np.load(path, allow_pickle=False) as content:
            return cls(
                content["names"].tolist(),
                content["edges"],
                content["counts"].astype(np.int64),
                float(content["num_stocks"]),
            )

    def count(self, store: MarketStore, days: range) -> np.ndarray:
        """[F, B] of some days of a panel, whatever the order of its features."""
        place = {name: number for number, name in enumerate(store.meta.features)}
        return count(_rows(store, days)[:, [place[name] for name in self.names]], self.edges)


def take_baseline(store: MarketStore, train: range) -> Baseline:
    """Of the days that a network learned from; none of the later ones."""
    edges = edges_of(_sample(store, train))
    starts = range(train.stop - STRETCH, train.start - 1, -STRETCH)[:MOST_STRETCHES]
    counts = [count(_rows(store, range(start, start + STRETCH)), edges) for start in reversed(starts)]
    counts = counts[_warm_up(counts) :]
    last = np.asarray(store.eligible[max(train.start, train.stop - 250) : train.stop])
    shape = (0, *edges.shape[:1], edges.shape[1] + 2)
    return Baseline(
        store.meta.features,
        edges,
        np.stack(counts) if counts else np.zeros(shape, np.int64),
        float(np.median(last.sum(axis=1))),
    )


def _warm_up(counts: list[np.ndarray]) -> int:
    """Leading stretches in which a column is missing altogether that is known later: features look back for a year."""
    empty = [each[:, :-1].sum(axis=1) == 0 for each in counts]
    whole = [place for place, found in enumerate(empty) if not (found & ~empty[-1]).any()]
    return whole[0] if whole and len(counts) - whole[0] >= LEAST_STRETCHES else 0


def _rows(store: MarketStore, days: range) -> np.ndarray:
    """[n, F] raw features of every stock-day in the universe."""
    span = slice(days.start, days.stop)
    return np.asarray(store.features[span])[np.asarray(store.eligible[span])]


def _sample(store: MarketStore, train: range) -> np.ndarray:
    """[n, F] of days spread over the range, the same share of each."""
    rng = np.random.default_rng(0)
    days = np.unique(np.linspace(train.start, train.stop - 1, 250).astype(int))
    parts = []
    for day in days:
        rows = _rows(store, range(int(day), int(day) + 1))
        parts.append(rows[rng.permutation(len(rows))[: SAMPLED_ROWS // len(days)]])
    return np.concatenate(parts)
