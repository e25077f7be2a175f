"""MarketStore: the prepared panel, memory-mapped, shared by every trial and process at no private cost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from data.config import DataConfig
from data.errors import DataError
from data.graph import DailyGraphs
from data.migrations import migrate
from data.splits import Splits, make_splits

ARRAYS = ("features", "labels", "observed")


@dataclass(frozen=True)
class StoreMeta:
    """What `meta.json` says: keys, axes and settings."""

    schema_version: int
    store_key: str  # bytes and settings
    panel_key: str  # bytes
    market: dict[str, object]  # first and last date, number of codes, digest of codes: what the panel is a panel of
    dates: list[str]
    codes: list[str]
    features: list[str]
    horizons: list[int]
    delay: int
    first_known: int  # first day that has most of its features
    first_graph: int  # first day that has edges, 0 without a graph
    holdout_from: str | None  # first day of the hold-out, which the arrays do not contain
    mean_degree: float | None


@dataclass(frozen=True)
class MarketStore:
    """D days x N stocks x F features of raw values; the hold-out is not in it."""

    folder: Path
    meta: StoreMeta
    features: np.ndarray  # [D, N, F] float32, NaN where missing
    labels: np.ndarray  # [D, N, K] float32 forward returns, NaN where unknown
    observed: np.ndarray  # [D, N] bool
    graphs: DailyGraphs | None

    @classmethod
    def open(cls, folder: Path) -> MarketStore:
        """Maps a prepared folder in milliseconds, migrating an older layout first.

        Raises:
            DataError: no store there, or one that a newer program made.
        """
        if not (folder / "meta.json").exists():
            raise DataError(f"a prepared store must lie in {folder}, but there is none. Prepare the panel again.")
        migrate(folder)
        meta = StoreMeta(**json.loads((folder / "meta.json").read_text()))
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        graphs = DailyGraphs.load(folder / "graph") if (folder / "graph").exists() else None
        return cls(folder=folder, meta=meta, graphs=graphs, **arrays)

    @cached_property
    def dates(self) -> np.ndarray:
        """[D] datetime64[D]."""
        return np.array(self.meta.dates, dtype="datetime64[D]")

    @cached_property
    def codes(self) -> np.ndarray:
        """[N] str."""
        return np.array(self.meta.codes)

    @property
    def num_days(self) -> int:
        return len(self.meta.dates)

    def splits(self, config: DataConfig) -> Splits:
        """The fold roles on this store's calendar.

        Raises:
            DataError: too short a history, or a store prepared with other horizons.
        """
        if (tuple(self.meta.horizons), self.meta.delay) != (config.horizons, config.delay):
            raise DataError(
                f"the store was prepared for horizons {self.meta.horizons} and delay {self.meta.delay}, but "
                f"{config.horizons} and {config.delay} were asked. Prepare it again."
            )
        first = max(self.meta.first_known + config.window - 1, self.meta.first_graph)
        return make_splits(self.num_days, first, config)
