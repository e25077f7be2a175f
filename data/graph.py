"""Neighbour graphs per date: cached beside the store, one folder per settings, extended when the store has grown.

Edge attributes are `[correlation, lead-lag correlation i->j, same sector, same industry]`: the second says how
yesterday's market-demeaned return of the source moves with today's of the target. No value after a date is read.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from data.cache import digest
from data.config import CorrelationGraphConfig, GraphConfig, NoGraphConfig, SectorGraphConfig
from data.edges import Edges, correlation_edges, sector_edges, shuffled
from data.errors import DataError

EDGE_ATTRIBUTES = ("correlation", "lead_lag", "same_sector", "same_industry")
FLAG_SCALE = 4.0  # of 'same sector' and 'same industry', which few pairs are
GRAPH_VERSION = 4  # raise when the same settings give other edges


@dataclass(frozen=True, eq=False)
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
    def num_days(self) -> int:
        return len(self.graph_of)

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

    def until(self, num_days: int, new_stock: np.ndarray) -> DailyGraphs:
        """The graphs of the first days, their nodes renumbered by `new_stock`."""
        graph_of = np.array(self.graph_of[:num_days])
        count = int(graph_of.max(initial=-1)) + 1
        edges = int(self.indptr[count])
        index = new_stock[np.asarray(self.edge_index[:, :edges])].astype(np.int32)
        return DailyGraphs(graph_of, np.array(self.indptr[: count + 1]), index, np.array(self.edge_attr[:edges]))


def edge_scale(config: GraphConfig) -> np.ndarray:
    """[4] float32: what attributes are multiplied by for a network, so that each spreads by about one.

    A correlation is read in standard errors of none, 1 / sqrt(days): in its own unit a lead of .15, which is beyond
    doubt over 250 days, hardly moves an attention logit, and hundreds of steps do not find it.
    """
    windows = config if isinstance(config, CorrelationGraphConfig) else CorrelationGraphConfig()
    days = float(windows.window)
    if windows.method == "exponential":
        weight = 0.5 ** (np.arange(windows.window) / windows.half_life)
        days = weight.sum() ** 2 / (weight**2).sum()
    return np.array([days**0.5, windows.lead_lag_window**0.5, FLAG_SCALE, FLAG_SCALE], np.float32)


def graph_key(config: GraphConfig) -> str:
    """Hash of all settings of a graph: the name of its folder."""
    return digest([GRAPH_VERSION, config.model_dump(mode="json")])


def open_graphs(
    store: Path,
    config: GraphConfig,
    returns: np.ndarray,
    eligible: np.ndarray,
    sector: np.ndarray,
    industry: np.ndarray,
) -> DailyGraphs | None:
    """Opens the cached graphs of a store, building what is not there; one process builds, the others wait."""
    if isinstance(config, NoGraphConfig):
        return None
    folder = store / "graphs" / graph_key(config)
    if _num_days(folder) != len(returns):
        folder.parent.mkdir(exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if _num_days(folder) != len(returns):
                begun = DailyGraphs.load(folder) if folder.exists() else None
                _replace(folder, build_graphs(returns, eligible, sector, industry, config, begun))
    return DailyGraphs.load(folder)


def carry_graphs(before: Path, after: Path, num_days: int, new_stock: np.ndarray) -> None:
    """Takes the graphs of an earlier store over for the days that are the same; opening them extends them."""
    for folder in sorted((before / "graphs").glob("*")) if num_days else []:
        if not folder.name.startswith(".") and (folder / "graph_of.npy").exists():
            (after / "graphs").mkdir(exist_ok=True)
            graphs = DailyGraphs.load(folder)
            _replace(after / "graphs" / folder.name, graphs.until(min(num_days, graphs.num_days), new_stock))


def build_graphs(
    returns: np.ndarray,
    eligible: np.ndarray,
    sector: np.ndarray,
    industry: np.ndarray,
    config: CorrelationGraphConfig | SectorGraphConfig,
    begun: DailyGraphs | None = None,
) -> DailyGraphs:
    """Builds one graph every `refresh_days` days, after those that `begun` has.

    Args:
        returns: [D, N] one-day log returns, NaN where missing.
        eligible: [D, N] bool, may be ranked on the day.
        sector, industry: [D, N] int, 0 where unknown.
        config: kind and settings.
        begun: graphs of the first days.

    Raises:
        DataError: no day has enough history for a single edge.
    """
    done = begun.num_days if begun is not None else 0
    graph_of = np.full(len(returns), -1, dtype=np.int32)
    pieces, sizes = [], []
    if begun is not None and done:
        graph_of[:done], graph_of[done:] = begun.graph_of, begun.graph_of[-1]
        sizes = np.diff(begun.indptr).tolist()
        pieces = [Edges(np.array(begun.edge_index), np.array(begun.edge_attr))]
    for day in _graph_days(len(returns), done, config):
        edges = _edges_of_day(returns, eligible, sector, industry, day, config)
        if edges.count:
            graph_of[day:] = len(sizes)
            sizes.append(edges.count)
            pieces.append(edges)
    if not sizes:
        law, doubt = {
            "correlation": ("whose returns are known together", "Is the panel long enough, and do its prices change?"),
            "sector": ("of one sector", "Are its sectors known?"),
        }[config.kind]
        raise DataError(
            f"a {config.kind} graph needs two stocks of the universe {law}, but no day of the {len(returns)} has them. "
            f"{doubt}"
        )
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    index = np.concatenate([piece.index for piece in pieces], axis=1)
    return DailyGraphs(graph_of, indptr, index, np.concatenate([piece.attr for piece in pieces]))


def _graph_days(num_days: int, done: int, config: CorrelationGraphConfig | SectorGraphConfig) -> list[int]:
    """The days that get a graph: a grid from the first day that can have one, so that appended days move none."""
    first = config.window if isinstance(config, CorrelationGraphConfig) else 1
    return [day for day in range(first, num_days, config.refresh_days) if day >= done]


def _edges_of_day(
    returns: np.ndarray,
    eligible: np.ndarray,
    sector: np.ndarray,
    industry: np.ndarray,
    day: int,
    config: CorrelationGraphConfig | SectorGraphConfig,
) -> Edges:
    longest = CorrelationGraphConfig() if isinstance(config, SectorGraphConfig) else config
    start = max(0, day + 1 - max(longest.window, longest.lead_lag_window))
    history = np.asarray(returns[start : day + 1])
    arguments = (history, np.asarray(eligible[day]), np.asarray(sector[day]), np.asarray(industry[day]))
    if isinstance(config, SectorGraphConfig):
        edges = sector_edges(*arguments, config, longest)
    else:
        edges = correlation_edges(*arguments, config)
    return shuffled(edges, seed=day) if config.shuffled else edges


def _num_days(folder: Path) -> int:
    path = folder / "graph_of.npy"
    return len(np.load(path, mmap_mode="r")) if path.exists() else -1


def _replace(folder: Path, graphs: DailyGraphs) -> None:
    """Writes aside and swaps in, so that a killed process leaves the former graphs or none."""
    scratch, retired = (folder.with_name(f".{folder.name}.{os.getpid()}.{word}") for word in ("tmp", "old"))
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    graphs.save(scratch)
    if folder.exists():
        folder.rename(retired)
    scratch.rename(folder)
    shutil.rmtree(retired, ignore_errors=True)
