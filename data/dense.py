"""Second pass: rows of a panel in any order become dense [day, stock, column] arrays on disk, in bounded memory.

A batch's rows are sorted by day and written a stretch of days at a time; only that stretch is mapped. So the memory in
use is that of one batch and one stretch, whatever the panel's size, and however its rows are sorted.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

Places = slice | np.ndarray  # of columns
PAGE = 4096
TILE = 2048  # rows that are transposed at once, so that they stay in the cache


class DenseFile:
    """A `.npy` file [D, N, C] (or [D, N]) that is filled row by row and sealed once; unwritten cells become NaN."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: type[np.generic], budget: int) -> None:
        self.path, self.shape, self.dtype = path, shape, np.dtype(dtype)
        self.day_bytes = int(np.prod(shape[1:], dtype=np.int64)) * self.dtype.itemsize
        self.stretch = max(1, budget // max(1, self.day_bytes))  # days that are mapped at once
        if not path.exists():
            np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape).flush()
            _reserve(path)
        with path.open("rb") as stream:
            np.lib.format.read_magic(stream)
            np.lib.format.read_array_header_1_0(stream)
            self.offset = stream.tell()

    def days(self, start: int, stop: int, mode: str = "r+") -> np.ndarray:
        """Maps the days start .. stop - 1: [stop - start, *shape[1:]]."""
        shape = (stop - start, *self.shape[1:])
        offset = self.offset + start * self.day_bytes
        return np.memmap(self.path, self.dtype, mode, offset, shape)  # type: ignore[call-overload]

    def stretches(self, start: int = 0) -> Iterator[tuple[int, int]]:
        """(start, stop) of consecutive days that fit the budget."""
        for first in range(start, self.shape[0], self.stretch):
            yield first, min(first + self.stretch, self.shape[0])

    def write(self, day: np.ndarray, stock: np.ndarray, values: np.ndarray, columns: Places = slice(None)) -> None:
        """Puts rows [R, C'] at (day, stock) into `columns`; days outside the array are left out."""
        inside = (day >= 0) & (day < self.shape[0])
        if not inside.all():
            day, stock, values = day[inside], stock[inside], values[inside]
        if not len(day):
            return
        if (day[1:] < day[:-1]).any():
            order = np.argsort(day, kind="stable")
            day, stock, values = day[order], stock[order], values[order]
        start = 0
        while start < len(day):
            first = int(day[start])
            stop = int(np.searchsorted(day, first + self.stretch))
            mapped = self.days(first, int(day[stop - 1]) + 1)
            where = (day[start:stop] - first, stock[start:stop])
            if isinstance(columns, slice):
                target = mapped if mapped.ndim == 2 else mapped[..., columns]
                target[where] = values[start:stop]
            else:
                mapped[where[0][:, None], where[1][:, None], columns] = values[start:stop]
            start = stop

    def blank(self, missing: np.ndarray, columns: slice = slice(None), start: int = 0) -> None:
        """Sets the cells of a [D, N] mask to NaN, from day `start` on."""
        for first, stop in self.stretches(start):
            mask = np.asarray(missing[first:stop])
            if mask.any():
                mapped = self.days(first, stop)
                target = mapped if mapped.ndim == 2 else mapped[..., columns]
                target[mask] = np.nan


def batch_rows(num_columns: int, itemsize: int, budget: int) -> int:
    """Rows of a batch so that its columns, its matrix and the pages it touches fit a third of the budget."""
    per_row = 3 * num_columns * itemsize + 2 * PAGE
    return int(np.clip(budget // 3 // per_row, 1024, 1 << 17))


def matrix(columns: list[pa.Array], dtype: type[np.generic]) -> np.ndarray:
    """[rows, columns] from Arrow columns; null becomes NaN."""
    arrays = [_numbers(column, dtype) for column in columns]
    out = np.empty((len(arrays[0]) if arrays else 0, len(arrays)), dtype)
    for start in range(0, len(out), TILE):
        tile = out[start : start + TILE]
        for number, values in enumerate(arrays):
            tile[:, number] = values[start : start + TILE]
    return out


def _numbers(column: pa.Array, dtype: type[np.generic]) -> np.ndarray:
    kind = pa.from_numpy_dtype(np.dtype(dtype))
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.type != kind:
        column = column.cast(kind, safe=False)
    return column.to_numpy(zero_copy_only=False)


def release(array: np.ndarray) -> None:
    """Gives the pages of a mapped array back: what has been read once need not stay in memory."""
    base: object = array
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    if isinstance(base, np.memmap) and base._mmap is not None:  # type: ignore[attr-defined]
        base._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


def _reserve(path: Path) -> None:
    """Takes the file's blocks now: a full disk is then an OSError here, not a bus error in the middle of writing."""
    with path.open("r+b") as stream:
        os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
