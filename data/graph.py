"""Neighbour graphs per date: top-k by trailing correlation, symmetric, with directed edge attributes.

Edge attributes are `[correlation, lead-lag correlation i->j, same sector, same industry]`: the second says how
yesterday's market-demeaned return of the source moves with today's of the target. No value after a date is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.config import CorrelationGraphConfig
from data.errors import DataError

EDGE_ATTRIBUTES = ("correlation", "lead_lag", "same_sector", "same_industry")
MIN_COVERAGE = 0.8  # share of the window a stock must have been observed to get edges


@dataclass(frozen=True)
class DailyGraphs:
    """Graphs of all days, ragged and memory-mapped: day d has graph g = graph_of[d], edges indptr[g]:indptr[g+1]."""

    graph_of: np.ndarray  # [D] int32, -1 before the first graph
    indptr: np.ndarray  # [G + 1] int64
    edge_index: np.ndarray  # [2, E] int32, source row 0, target row 1
    edge_attr: np.ndarray  # [E, 4] float32

    def at(self, day: int) -> tuple[np.ndarray, np.ndarray]:
        """(edge_index [2, e], edge_attr [e, 4]) in force on a day; empty before the first graph."""
        graph = int(self.graph_of[day])
        if graph < 0:
            return self.edge_index[:, :0], self.edge_attr[:0]
        edges = slice(int(self.indptr[graph]), int(self.indptr[graph + 1]))
        return self.edge_index[:, edges], self.edge_attr[edges]

    @property
    def first_day(self) -> int:
        """The first day that has a graph."""
        return int(np.argmax(self.graph_of >= 0))

    @property
    def mean_degree(self) -> float:
        """Incoming edges per connected stock, averaged over graphs."""
        degrees = []
        for start, end in zip(self.indptr, self.indptr[1:], strict=False):
            nodes = len(np.unique(self.edge_index[1, start:end]))
            degrees.append((end - start) / nodes if nodes else 0.0)
        return float(np.mean(degrees)) if degrees else 0.0

    def save(self, folder: Path) -> None:
        for name, values in vars(self).items():
            np.save(folder / f"{name}.npy", values)

    @classmethod
    def load(cls, folder: Path) -> DailyGraphs:
        return cls(**{n: np.load(folder / f"{n}.npy", mmap_mode="r") for n in cls.__dataclass_fields__})


def build_graphs(
    close: np.ndarray, sector: np.ndarray, industry: np.ndarray, config: CorrelationGraphConfig
) -> DailyGraphs:
    """Builds one graph every `refresh_days` days from closes [D, N] and static labels [N].

    Raises:
        DataError: no day has enough history for a single edge.
    """
    returns = _log_returns(close)
    demeaned = returns - _row_mean(returns)
    same = np.stack([_same(sector), _same(industry)], axis=-1)
    graph_of = np.full(len(close), -1, dtype=np.int32)
    indices: list[np.ndarray] = []
    attributes: list[np.ndarray] = []
    counts: list[int] = []
    for day in range(config.window, len(close), config.refresh_days):
        index, attr = _one_graph(returns, demeaned, same, day, config)
        if index.shape[1]:
            graph_of[day:] = len(counts)
            indices.append(index)
            attributes.append(attr)
            counts.append(index.shape[1])
    if not counts:
        raise DataError(
            f"a correlation graph needs two stocks whose returns of {config.window} days move together, but no day of "
            f"the {len(close)} has them. Is the panel long enough, and do its prices change?"
        )
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return DailyGraphs(graph_of, indptr, np.concatenate(indices, axis=1), np.concatenate(attributes))


def _one_graph(
    returns: np.ndarray, demeaned: np.ndarray, same: np.ndarray, day: int, config: CorrelationGraphConfig
) -> tuple[np.ndarray, np.ndarray]:
    recent = returns[day - config.window + 1 : day + 1]
    covered = np.isfinite(recent).mean(axis=0) >= MIN_COVERAGE
    covered &= np.isfinite(returns[day])
    nodes = np.flatnonzero(covered)
    if len(nodes) < 2:
        return np.empty((2, 0), np.int32), np.empty((0, 4), np.float32)
    correlation = _correlation(recent[:, nodes], recent[:, nodes])
    history = demeaned[max(0, day - config.lead_lag_window + 1) : day + 1, nodes]
    lead_lag = _correlation(history[:-1], history[1:])
    source, target = _symmetric_top_k(correlation, config)
    attr = np.concatenate(
        [
            correlation[source, target][:, None],
            lead_lag[source, target][:, None],
            same[nodes[source], nodes[target]],
        ],
        axis=1,
    )
    return np.stack([nodes[source], nodes[target]]).astype(np.int32), attr.astype(np.float32)


def _symmetric_top_k(correlation: np.ndarray, config: CorrelationGraphConfig) -> tuple[np.ndarray, np.ndarray]:
    """Union of everybody's k strongest neighbours, both directions, no self loop, no duplicate."""
    score = correlation.copy()
    np.fill_diagonal(score, -np.inf)
    k = min(config.k, len(score) - 1)
    strongest = np.argpartition(-score, k - 1, axis=1)[:, :k]
    chosen = np.zeros_like(score, dtype=bool)
    np.put_along_axis(chosen, strongest, True, axis=1)
    chosen &= score > config.min_correlation
    chosen |= chosen.T
    return tuple(np.nonzero(chosen))  # type: ignore[return-value]


def _correlation(a_TN: np.ndarray, b_TN: np.ndarray) -> np.ndarray:
    """Pearson correlation of each column of a with each of b, missing values at their column's mean: [N, N]."""
    a, b = _standardised(a_TN), _standardised(b_TN)
    return np.clip(a.T @ b, -1, 1)


def _standardised(x_TN: np.ndarray) -> np.ndarray:
    """Columns centred and scaled to unit length; a constant column becomes zero."""
    finite = np.isfinite(x_TN)
    mean = np.where(finite, x_TN, 0).sum(axis=0) / np.maximum(finite.sum(axis=0), 1)
    centred = np.where(finite, x_TN - mean, 0).astype(np.float32)
    length = np.sqrt((centred**2).sum(axis=0))
    return centred / np.where(length > 0, length, 1)


def _log_returns(close: np.ndarray) -> np.ndarray:
    returns = np.full(close.shape, np.nan)
    returns[1:] = np.diff(np.log(close), axis=0)
    return returns


def _row_mean(x: np.ndarray) -> np.ndarray:
    finite = np.isfinite(x)
    return (np.where(finite, x, 0).sum(axis=1) / np.maximum(finite.sum(axis=1), 1))[:, None]


def _same(label: np.ndarray) -> np.ndarray:
    """[N, N] float32: equal and known."""
    return ((label[:, None] == label[None, :]) & (label[:, None] != "")).astype(np.float32)
