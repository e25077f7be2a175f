"""What follows from the raw columns: universe, returns, volatility, built-in features, labels; by stretches of days."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.axes import Axes
from data.bars import Bars
from data.columns import Columns
from data.config import DataConfig
from data.dense import DenseFile, release
from data.errors import DataError
from data.features import REACH, compute_features
from data.labels import RECENT_DAYS, forward_returns, tradable_entries
from data.market import MarketSketch, merge, sketch
from data.rolling import shift, window_deviation
from data.universe import eligible

VOLATILITY_DAYS = 60
USABLE_SHARE = 0.5  # a day is usable once half of its cells are known
FRAMES = 40  # arrays [rows, stocks] of float64 that one stretch holds at a time


class Columnar:
    """The raw arrays of a folder, read by role and days; a role that is not there is NaN."""

    def __init__(self, folder: Path, columns: Columns, axes: Axes) -> None:
        self.columns, self.axes = columns, axes
        self.shape = (len(axes.dates), len(axes.codes))
        self.present = np.load(folder / "present.npy", mmap_mode="r")
        self.bars = np.load(folder / "bars.npy", mmap_mode="r") if columns.bars else None
        self.labels = {role: np.load(folder / f"{role}.npy", mmap_mode="r") for role in columns.labels}
        self.targets = np.load(folder / "labels.npy", mmap_mode="r") if columns.targets else None

    def release(self) -> None:
        """Gives back the pages that have been read."""
        for array in (self.present, self.bars, self.targets, *self.labels.values()):
            if array is not None:
                release(array)

    def has(self, role: str) -> bool:
        return role in self.columns.bars

    def bar(self, role: str, rows: slice) -> np.ndarray:
        if self.bars is None or role not in self.columns.bars:
            return np.full((rows.stop - rows.start, self.shape[1]), np.nan)
        return np.array(self.bars[rows, :, self.columns.bars.index(role)])

    def turnover(self, rows: slice) -> np.ndarray:
        """Traded value; close x volume where the panel has no column for it."""
        if self.has("turnover"):
            return self.bar("turnover", rows)
        return self.bar("close", rows) * self.bar("volume", rows)

    def label(self, role: str, rows: slice) -> np.ndarray:
        if role not in self.labels:
            return np.zeros((rows.stop - rows.start, self.shape[1]), np.int16)
        return np.array(self.labels[role][rows])

    def returns(self, rows: slice) -> np.ndarray:
        """One-day log returns; `rows` begin a day early."""
        with np.errstate(invalid="ignore", divide="ignore"):
            if self.has("close"):
                log_close = np.log(self.bar("close", rows))
                values = log_close - shift(log_close, 1)
            else:
                values = np.log1p(self.bar("returns", rows))
        return np.where(np.isfinite(values), values, np.nan)

    def marks(self, now: slice, returns: np.ndarray, reach: int) -> np.ndarray:
        """What tells one market's cells from another's: returns, or the panel's first target where it has neither.

        A target that reaches past the last day is left out: it would tell of the hold-out.
        """
        if self.has("close") or self.has("returns") or self.targets is None:
            return returns.astype(np.float32)
        marks = np.array(self.targets[now, :, 0], np.float32)
        marks[max(0, self.shape[0] - reach - now.start) :] = np.nan
        return marks


class Derived(NamedTuple):
    """What the store's meta data say of the derived arrays."""

    sketch: MarketSketch
    num_untradable: int  # entries that are masked


def derive(
    folder: Path,
    columns: Columns,
    axes: Axes,
    config: DataConfig,
    built_in: Sequence[str],
    first_day: int,
    budget: int,
) -> Derived:
    """Writes eligible, returns, volatility, sector, industry, built-in features from `first_day` on, and labels."""
    raw = Columnar(folder, columns, axes)
    days, stocks = raw.shape
    share = max(1, budget // 6)
    files = {
        "eligible": DenseFile(folder / "eligible.npy", (days, stocks), np.bool_, share),
        "returns": DenseFile(folder / "returns.npy", (days, stocks), np.float32, share),
        "volatility": DenseFile(folder / "volatility.npy", (days, stocks), np.float32, share),
    }
    for role in ("sector", "industry"):
        if role not in columns.labels:
            DenseFile(folder / f"{role}.npy", (days, stocks), np.int16, share)
    width = max(16, budget // (8 * FRAMES * stocks) - REACH)
    cells = sketch(axes.dates[:0], axes.codes, np.empty((0, stocks), np.float32))
    for start in range(0, days, width):
        now = slice(start, min(start + width, days))
        cells = merge(cells, _derive_stretch(raw, files, now, config))
        raw.release()
    if built_in:
        total = (days, stocks, len(built_in) + len(columns.own))
        features = DenseFile(folder / "features.npy", total, np.float32, share)
        for start in range(first_day, days, width):
            _write_features(raw, features, files["eligible"], slice(start, min(start + width, days)), built_in)
            raw.release()
    return Derived(cells, _write_labels(raw, folder, config, width, share))


def _derive_stretch(raw: Columnar, files: dict[str, DenseFile], now: slice, config: DataConfig) -> MarketSketch:
    reach = max(VOLATILITY_DAYS, config.universe.turnover_window if config.universe.min_turnover else 0) + 1
    rows = slice(max(0, now.start - reach), now.stop)
    new = slice(now.start - rows.start, None)
    returns = raw.returns(rows)
    labels = {role: raw.label(role, rows) for role in ("section", "security_type")}
    turnover = raw.turnover(rows) if config.universe.min_turnover else None
    present = np.array(raw.present[rows])
    admitted = eligible(present, labels, raw.axes.labels, turnover, config.universe)
    files["eligible"].days(now.start, now.stop)[:] = admitted[new]
    files["returns"].days(now.start, now.stop)[:] = returns[new]
    files["volatility"].days(now.start, now.stop)[:] = window_deviation(returns, VOLATILITY_DAYS)[new]
    return sketch(raw.axes.dates[now], raw.axes.codes, raw.marks(now, returns[new], config.reach))


def _write_features(raw: Columnar, features: DenseFile, admitted: DenseFile, now: slice, names: Sequence[str]) -> None:
    rows = slice(max(0, now.start - REACH), now.stop)
    prices = {role: raw.bar(role, rows) for role in ("open", "high", "low", "close", "volume")}
    bars = Bars(
        **prices,
        turnover=raw.turnover(rows),
        sector=raw.label("sector", rows).astype(np.int64),
        eligible=np.array(admitted.days(rows.start, rows.stop, "r")),
        dates=raw.axes.dates[rows],
    )
    compute_features(bars, features.days(now.start, now.stop)[..., : len(names)], names)


def _write_labels(raw: Columnar, folder: Path, config: DataConfig, width: int, share: int) -> int:
    """Labels from prices, or the user's own, with untradable entries masked; returns how many were."""
    days, stocks = raw.shape
    own = bool(raw.columns.targets)
    labels = DenseFile(folder / "labels.npy", (days, stocks, len(config.horizons)), np.float32, share)
    if config.labels.source == "none":
        return _write_unknown(labels, days, width)
    untradable = 0
    for start in range(0, days, width):
        now = slice(start, min(start + width, days))
        rows = slice(max(0, start - RECENT_DAYS), min(now.stop + config.reach, days))
        bars = {role: raw.bar(role, rows) for role in ("close", "volume", "high", "low") if raw.has(role)}
        target = labels.days(now.start, now.stop)
        if own:
            _mask_beyond(target, start, days, config)
        here = slice(now.start - rows.start, now.stop - rows.start)
        if own and "close" not in bars:
            continue
        tradable = tradable_entries(bars)
        untradable += int((np.isfinite(bars["close"][here]) & ~tradable[here]).sum())
        if own:
            enter = slice(here.start + config.delay, here.stop + config.delay)
            blocked = np.isfinite(bars["close"][enter]) & ~tradable[enter]
            target[: len(blocked)][blocked] = np.nan
        else:
            price, at_open = raw.bar(config.labels.price, rows), config.labels.price == "open"
            target[:] = forward_returns(price, bars["close"], tradable, config.horizons, config.delay, at_open)[here]
        raw.release()
    return untradable


def _write_unknown(labels: DenseFile, days: int, width: int) -> int:
    for start in range(0, days, width):
        stop = min(start + width, days)
        labels.days(start, stop)[:] = np.nan
    return 0


def _mask_beyond(target: np.ndarray, start: int, days: int, config: DataConfig) -> None:
    """A target of the user's own that reaches past the store's last day would tell of the hold-out."""
    for k, horizon in enumerate(config.horizons):
        first = max(0, days - config.delay - horizon - start)
        target[first:, :, k] = np.nan


def first_known_day(folder: Path) -> int:
    """The first day on which the stocks that are there have half of their features.

    Raises:
        DataError: there is none.
    """
    features = np.load(folder / "features.npy", mmap_mode="r")
    present = np.load(folder / "present.npy", mmap_mode="r")
    for day in range(len(features)):
        known = np.isfinite(features[day]).mean()
        if known >= USABLE_SHARE * present[day].mean() > 0:
            return day
    raise DataError("no day has half of its features; the panel is too short or too sparse. Bring a longer one.")
