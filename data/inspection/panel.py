"""What the checks read: axes, settings and the arrays of a store that is being made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from data.axes import Axes
from data.columns import Columns
from data.config import DataConfig
from data.dense import release
from data.findings import Finding
from data.ingest import RowFaults

SAMPLED_DAYS = 24  # days that stand for a panel where a look at all of them would cost too much
LARGE_MEDIAN = 0.3  # median size above which values are no returns as fractions
STRETCH_BYTES = 64 << 20  # of one array that a check reads at once


@dataclass(frozen=True, eq=False)
class Panel:
    """A panel as dense arrays; checks read them a stretch of days at a time."""

    axes: Axes
    columns: Columns
    config: DataConfig
    faults: RowFaults
    names: list[str]  # features, built-in first
    num_built_in: int
    present: np.ndarray  # [D, N] bool
    eligible: np.ndarray  # [D, N] bool
    features: np.ndarray  # [D, N, F]
    labels: np.ndarray  # [D, N, K]
    bars: dict[str, np.ndarray]  # role -> [D, N]

    def stretches(self) -> Iterator[slice]:
        """Stretches of days in order; the pages of the last one are given back."""
        days, stocks = self.present.shape
        width = max(1, STRETCH_BYTES // max(1, 8 * stocks * max(4, len(self.names) // 8)))
        for start in range(0, days, width):
            yield slice(start, min(start + width, days))
            for array in (self.present, self.eligible, self.labels, *self.bars.values()):
                release(array)

    def name(self, day: int, stock: int) -> str:
        return f"{self.axes.dates[day]} {self.axes.codes[stock]}"


def sampled_days(num_days: int) -> np.ndarray:
    """Places spread evenly over so many days."""
    return np.unique(np.linspace(0, max(0, num_days - 1), SAMPLED_DAYS).astype(int))


def sizes_on(values: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Absolute known values of [D, N] on some days."""
    sizes = np.abs(np.asarray(values[days]))
    return sizes[np.isfinite(sizes)]


Check = Callable[[Panel], list[Finding]]


class Cells:
    """Counts offending cells and remembers the first."""

    def __init__(self) -> None:
        self.count, self.first = 0, ""

    def add(self, panel: Panel, bad: np.ndarray, values: np.ndarray, rows: slice) -> None:
        """Takes in a stretch: `bad` [days, N] marks offending cells of `values`."""
        number = int(bad.sum())
        if number and not self.count:
            day, stock = np.argwhere(bad)[0]
            self.first = f"first: {panel.name(rows.start + int(day), int(stock))} = {values[day, stock]:.6g}"
        self.count += number
