"""The second pass: every wanted column of a panel, from Parquet batches into the dense files of a store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from data.axes import Axes, KeyReader
from data.columns import Columns
from data.dense import DenseFile, batch_rows, matrix
from data.errors import DataError
from data.source import RowGroup, Source

Where = tuple[np.ndarray, np.ndarray]  # (day, stock) of each row, on the axes with the hold-out
Tick = Callable[[int], None]  # told the rows that have been read
MAX_LABELS = np.iinfo(np.int16).max


@dataclass
class RowFaults:
    """What is wrong with single rows, hold-out included: counts and first examples."""

    duplicates: int = 0
    first_duplicate: str = ""
    infinite: dict[str, int] = field(default_factory=dict)  # column -> count
    first_infinite: dict[str, str] = field(default_factory=dict)  # column -> "date code"


@dataclass(frozen=True)
class Pass:
    """One reading: which columns, from which row groups, written from which day on."""

    own: tuple[str, ...]  # own features
    rest: bool  # bars, targets and labels too
    groups: list[RowGroup]
    first_day: int
    first_target_day: int  # targets are masked later on, so some that were written must be read again


@dataclass(frozen=True)
class Files:
    """The dense files that are filled: see `data/store.py` for what they hold."""

    present: DenseFile
    bars: DenseFile | None
    features: DenseFile
    targets: DenseFile | None
    labels: dict[str, DenseFile]  # role -> int16 codes into the vocabulary, 0 where unknown

    @classmethod
    def make(cls, folder: Path, columns: Columns, axes: Axes, num_built_in: int, budget: int) -> Files:
        days, stocks = len(axes.dates), len(axes.codes)
        share = max(1, budget // 6)

        def dense(name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> DenseFile:
            return DenseFile(folder / f"{name}.npy", shape, dtype, share)

        return cls(
            present=dense("present", (days, stocks), np.bool_),
            bars=dense("bars", (days, stocks, len(columns.bars)), np.float64) if columns.bars else None,
            features=dense("features", (days, stocks, max(1, num_built_in + len(columns.own))), np.float32),
            targets=dense("labels", (days, stocks, len(columns.targets)), np.float32) if columns.targets else None,
            labels={role: dense(role, (days, stocks), np.int16) for role in columns.labels},
        )


class Ingest:
    """Fills `files` from `source`; `faults` says afterwards what was wrong with the rows."""

    def __init__(
        self, source: Source, columns: Columns, axes: Axes, files: Files, num_built_in: int, seen: np.ndarray
    ) -> None:
        self.source, self.columns, self.axes, self.files = source, columns, axes, files
        self.num_built_in, self.seen = num_built_in, seen
        self.keys = KeyReader(source, columns)
        self.faults = RowFaults()

    def run(self, job: Pass, budget: int, tick: Tick) -> None:
        """Reads the row groups of one pass and writes their rows.

        Raises:
            DataError: a column that holds no numbers, a damaged file, too many distinct labels.
        """
        roles = self.columns.roles
        numeric = [*job.own, *([roles[r] for r in self.columns.bars] + self._targets() if job.rest else [])]
        texts = [roles[role] for role in self.columns.labels] if job.rest else []
        wanted = list(dict.fromkeys([roles["date"], roles["code"], *numeric, *texts]))
        rows = batch_rows(len(numeric), 8 if job.rest else 4, budget)
        for _, batch in self.source.batches(wanted, rows, job.groups):
            self._write(batch, job)
            tick(batch.num_rows)

    def _targets(self) -> list[str]:
        return list(self.columns.targets.values())

    def _write(self, batch: pa.RecordBatch, job: Pass) -> None:
        every_day, every_stock = self._positions(batch)
        if job.rest:
            self._note_duplicates(every_day, every_stock)
        stock = self.axes.kept_stock[every_stock]
        kept = (every_day < len(self.axes.dates)) & (stock >= 0)
        day = np.where(kept, every_day, -1)
        where = (every_day, every_stock)
        for group, place in zip(self.columns.groups, self.columns.slices(self.num_built_in), strict=True):
            names = [name for name in group.columns if name in job.own]
            if names:
                values = self._numbers(batch, names, np.float32, where)
                later = np.where(day >= 0, day + group.lag, -1)
                later[later < job.first_day] = -1
                self.files.features.write(later, stock, values, self._places(group.columns, names, place.start))
        if job.rest:
            self._write_rest(batch, job, day, stock, where)

    def _write_rest(self, batch: pa.RecordBatch, job: Pass, day: np.ndarray, stock: np.ndarray, where: Where) -> None:
        roles, files = self.columns.roles, self.files
        if files.targets is not None:
            due = np.where(day >= job.first_target_day, day, -1)
            files.targets.write(due, stock, self._numbers(batch, self._targets(), np.float32, where))
        day = np.where(day >= job.first_day, day, -1)
        if files.bars is not None:
            bars = self._numbers(batch, [roles[role] for role in self.columns.bars], np.float64, where)
            files.bars.write(day, stock, bars)
        for role, file in files.labels.items():
            file.write(day, stock, self._label_codes(batch, role))
        files.present.write(day, stock, np.ones(len(day), np.bool_))

    def _places(self, members: tuple[str, ...], names: list[str], start: int) -> slice | np.ndarray:
        """Columns of `features` that the names take; a slice where they are neighbours, which is faster."""
        first = members.index(names[0])
        if list(members[first : first + len(names)]) == names:
            return slice(start + first, start + first + len(names))
        return start + np.array([members.index(name) for name in names])

    def _numbers(self, batch: pa.RecordBatch, names: list[str], dtype: type[np.generic], where: Where) -> np.ndarray:
        try:
            values = matrix([batch.column(name) for name in names], dtype)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            wrong = next((name for name in names if not _is_numeric(batch.column(name), dtype)), names[0])
            raise DataError(
                f"prices, targets and features must be numbers, but {wrong} of {self.source.path} holds "
                f"{batch.column(wrong).type}: {error}. Store it as numbers, or exclude the column."
            ) from error
        self._note_infinite(values, names, where, batch)
        return values

    def _positions(self, batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
        """Row -> (day, stock) on the axes with the hold-out; a code is looked up once, not once per row."""
        days, code = self.keys.parse(batch)
        day = np.searchsorted(self.axes.all_dates, days.to_numpy(zero_copy_only=False).astype("datetime64[D]"))
        lookup = np.searchsorted(self.axes.all_codes, np.asarray(code.dictionary.to_pylist(), dtype=str))
        return day, lookup[code.indices.to_numpy(zero_copy_only=False)]

    def _label_codes(self, batch: pa.RecordBatch, role: str) -> np.ndarray:
        vocabulary = {value: number + 1 for number, value in enumerate(self.axes.labels[role])}
        text = self.keys.text(batch, role)
        lookup = np.array([vocabulary.get(value, 0) for value in text.dictionary.to_pylist()], np.int64)
        if len(vocabulary) >= MAX_LABELS:
            raise DataError(
                f"{role} must have fewer than {MAX_LABELS} distinct values, but {self.columns.roles[role]} has "
                f"{len(vocabulary)}. Is it the right column?"
            )
        return lookup[text.indices.to_numpy(zero_copy_only=False)].astype(np.int16)

    def _note_duplicates(self, day: np.ndarray, stock: np.ndarray) -> None:
        cell = day.astype(np.int64) * len(self.axes.all_codes) + stock
        flat = self.seen.reshape(-1)
        repeated = flat[cell].astype(bool)
        distinct, first = np.unique(cell, return_index=True)
        if len(distinct) < len(cell):
            again = np.ones(len(cell), bool)
            again[first] = False
            repeated |= again
        flat[distinct] = True
        if repeated.any():
            self.faults.first_duplicate = self.faults.first_duplicate or self._name(day, stock, int(repeated.argmax()))
            self.faults.duplicates += int(repeated.sum())

    def _note_infinite(self, values: np.ndarray, names: list[str], where: Where, batch: pa.RecordBatch) -> None:
        infinite = np.isinf(values)
        if not infinite.any():
            return
        for number, name in enumerate(names):
            if rows := np.flatnonzero(infinite[:, number]).tolist():
                self.faults.infinite[name] = self.faults.infinite.get(name, 0) + len(rows)
                stored = float(batch.column(name)[rows[0]].as_py())
                beyond = f" = {stored:g}" if np.isfinite(stored) else ""  # a double that 32 bits cannot hold
                self.faults.first_infinite.setdefault(name, self._name(where[0], where[1], rows[0]) + beyond)

    def _name(self, day: np.ndarray, stock: np.ndarray, row: int) -> str:
        return f"{self.axes.all_dates[day[row]]} {self.axes.all_codes[stock[row]]}"


def _is_numeric(column: pa.Array, dtype: type[np.generic]) -> bool:
    try:
        matrix([column], dtype)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True
