"""MarketStore: the prepared panel, memory-mapped, shared by every trial and process at no private cost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from data.config import DataConfig, GraphConfig, LabelConfig
from data.errors import DataError
from data.graph import DailyGraphs, open_graphs
from data.keys import ARRAYS
from data.market import MarketSketch
from data.migrations import migrate
from data.splits import Splits, make_splits
from data.targets import open_targets
from data.universe import trailing_median

TURNOVER_DAYS = 60


@dataclass(frozen=True)
class StoreMeta:
    """What `meta.json` says: keys, axes and settings."""

    schema_version: int
    store_key: str  # bytes and settings
    settings_key: str
    panel_key: str  # bytes
    cells_key: str  # what a trial can see
    market: dict[str, Any]  # first and last date, number of codes, and the sketch by which markets are matched
    dates: list[str]
    codes: list[str]
    features: list[str]
    built_in: bool  # the first features are computed from OHLCV
    bars: list[str]  # columns of bars.npy
    vocabularies: dict[str, list[str]]  # label role -> values; code k is value k - 1, 0 is unknown
    roles: dict[str, str]  # role -> the panel's column
    targets: dict[str, str]  # horizon -> the panel's column, where labels are the user's own
    lags: dict[str, int]  # group of own features -> publication lag in trading days
    horizons: list[int]
    delay: int
    first_known: int  # first day that has most of its features
    num_untradable: int  # labels that are masked because nobody could have entered
    holdout_from: str | None  # first day of the hold-out, which the arrays do not contain
    held_out_through: str | None  # last day of it
    doubts: list[str]  # what the inspection warned of


@dataclass(frozen=True, eq=False)
class MarketStore:
    """D days x N stocks x F features of raw values; the hold-out is not in it."""

    folder: Path
    meta: StoreMeta
    features: np.ndarray  # [D, N, F] float32, NaN where missing
    labels: np.ndarray  # [D, N, K] float32 forward returns, NaN where unknown or untradable
    present: np.ndarray  # [D, N] bool: the stock has a row
    eligible: np.ndarray  # [D, N] bool: it has one and is in the universe
    returns: np.ndarray  # [D, N] float32 one-day log returns
    volatility: np.ndarray  # [D, N] float32 trailing deviation of them
    sector: np.ndarray  # [D, N] int16 codes into the vocabulary, 0 where unknown
    industry: np.ndarray  # [D, N] int16

    @classmethod
    def open(cls, folder: Path) -> MarketStore:
        """Maps a prepared folder in milliseconds, migrating an older layout first.

        Raises:
            DataError: no store there, or one that a newer program made.
        """
        meta = read_meta(folder)
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        return cls(folder=folder, meta=meta, **arrays)

    @cached_property
    def dates(self) -> np.ndarray:
        """[D] datetime64[D]."""
        return np.array(self.meta.dates, dtype="datetime64[D]")

    @cached_property
    def bars(self) -> np.ndarray:
        """[D, N, roles of meta.bars] float32 as the panel has them, mapped; none of a panel without prices."""
        if not self.meta.bars:
            return np.empty((*self.present.shape, 0), np.float32)
        return np.asarray(np.load(self.folder / "bars.npy", mmap_mode="r"))

    @property
    def bar_names(self) -> list[str]:
        """The panel's own names of them."""
        return [self.meta.roles.get(role, role) for role in self.meta.bars]

    @cached_property
    def codes(self) -> np.ndarray:
        """[N] str: node n of a day's graph is stock codes[n]."""
        return np.array(self.meta.codes)

    @property
    def num_days(self) -> int:
        return len(self.meta.dates)

    @property
    def num_sectors(self) -> int:
        """Sector codes, that of an unknown sector among them."""
        return 1 + len(self.meta.vocabularies.get("sector", ()))

    @cached_property
    def sketch(self) -> MarketSketch:
        """By which another panel of the same market is known."""
        return MarketSketch.from_dict(self.meta.market["sketch"])

    def label_codes(self, role: str) -> np.ndarray:
        """[D, N] codes of a text column (sector, section, ..) into its vocabulary, 0 where unknown.

        Raises:
            DataError: the panel has no such column.
        """
        path = self.folder / f"{role}.npy"
        if role not in self.meta.vocabularies or not path.exists():
            raise DataError(
                f"groups by {role} need a column of it, but the panel has none. Name it in data.columns.{role}, or "
                f"group by something else."
            )
        return np.load(path, mmap_mode="r")

    def turnover(self, days: np.ndarray) -> np.ndarray:
        """[len(days), N] trailing median of traded value over 60 days up to each day, NaN where half are unknown.

        Raises:
            DataError: the panel has neither traded value nor close and volume.
        """
        bars = self.meta.bars
        if "turnover" not in bars and not {"close", "volume"} <= set(bars):
            raise DataError(
                "groups by liquidity need traded value, or close and volume, but the panel has neither. Group by "
                "something else."
            )
        first = max(0, int(days[0]) - TURNOVER_DAYS + 1)
        rows = slice(first, int(days[-1]) + 1)
        names = ["turnover"] if "turnover" in bars else ["close", "volume"]
        traded = np.prod([np.asarray(self.bars[rows, :, bars.index(name)], np.float64) for name in names], axis=0)
        return trailing_median(traded, TURNOVER_DAYS)[days - first]

    def graphs(self, config: GraphConfig) -> DailyGraphs | None:
        """The neighbour graphs of every day, built once per store and settings; None where none are asked for.

        Raises:
            DataError: no day has enough history for a single edge.
        """
        return open_graphs(self.folder, config, self.returns, self.eligible, self.sector, self.industry)

    def targets(self, config: LabelConfig) -> np.ndarray:
        """[D, N, K] float32: what is learned of the labels, NaN where unknown; computed once per store and settings."""
        return open_targets(self.folder, self.labels, self.eligible, self.sector, self.volatility, config)

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
        graphs = self.graphs(config.graph)
        first = max(self.meta.first_known + config.window - 1, graphs.first_day if graphs else 0)
        return make_splits(self.num_days, first, config)


def read_meta(folder: Path) -> StoreMeta:
    """`meta.json` of a store, migrated first.

    Raises:
        DataError: no store there, or one of another layout.
    """
    if not (folder / "meta.json").exists():
        raise DataError(f"a prepared store must lie in {folder}, but there is none. Prepare the panel again.")
    migrate(folder)
    return StoreMeta(**json.loads((folder / "meta.json").read_text()))
