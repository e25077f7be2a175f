"""A panel that grows by a file a morning: inspected with it before it has it, so that bad rows never get in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.errors import DataError
from data.source import Source
from data.store import MarketStore
from storage.files import aside


def dates_of(path: Path, column: str) -> np.ndarray:
    """Distinct days of a Parquet file or folder, sorted.

    Raises:
        DataError: nothing there, no Parquet, no such column.
    """
    source = Source.open(path)
    if column not in source.schema:
        raise DataError(f"a panel must have its dates in {column!r}, but {path} has no such column.")
    days: set[np.datetime64] = set()
    for file in source.files:
        distinct = pc.unique(pq.read_table(file, columns=[column])[column])
        days.update(np.array([str(day)[:10] for day in distinct.to_pylist()], "datetime64[D]"))
    return np.array(sorted(days))


def refuse_no_folder(panel: Path) -> None:
    """Raises DataError where a panel cannot grow."""
    if not panel.is_dir():
        raise DataError(
            f"a panel that grows must be a folder of Parquet files, but {panel} is none. Make one, and move the file "
            f"into it."
        )


def has_rows_of(panel: Path, file: Path) -> bool:
    """Whether the panel has this very file already: a morning that is done again."""
    return any(file.stat().st_size == own.stat().st_size and _same(own, file) for own in Source.open(panel).files)


def refuse_overlap(panel: Path, file: Path, column: str) -> None:
    """Raises DataError where a file has days that the panel has, or days before its last one."""
    days, own = dates_of(file, column), dates_of(panel, column)
    if not len(days):
        raise DataError(f"a file to be appended must have rows, but {file} has none.")
    if days[0] <= own[-1]:
        raise DataError(
            f"days to be appended must be later than the panel's last, {own[-1]}, but {file} begins with {days[0]}. A "
            f"day that was corrected takes the place of its file in {panel} by hand."
        )


@contextmanager
def grown(panel: Path, file: Path) -> Iterator[Path]:
    """The panel as it would be with the file: a folder of links, gone afterwards. Raises DataError: no room for it."""
    scratch = aside(panel)
    try:
        for own in Source.open(panel).files:
            _link(own, scratch / own.relative_to(panel))
        _link(file, scratch / _place(panel, file))
        yield scratch
    except OSError as error:
        raise DataError(f"a panel that grows needs a folder that can be written beside {panel}: {error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def append(panel: Path, file: Path) -> Path:
    """Copies the file into the panel, whole or not at all."""
    place = panel / _place(panel, file)
    scratch = aside(panel, "new")
    try:
        shutil.copyfile(file, scratch)
        os.replace(scratch, place)
    except OSError as error:
        raise DataError(
            f"a panel that grows needs a folder that can be written, but {panel} is none: {error}"
        ) from error
    finally:
        scratch.unlink(missing_ok=True)
    return place


def place_of_day(store: MarketStore, day: np.datetime64) -> int | None:
    """Position in the store; None where the panel does not have the day."""
    place = int(np.searchsorted(store.dates, day))
    return place if place < store.num_days and store.dates[place] == day else None


def _place(panel: Path, file: Path) -> str:
    """A name that is not there yet."""
    name, number = f"{file.stem}.parquet", 1
    while (panel / name).exists():
        number += 1
        name = f"{file.stem}-{number}.parquet"
    return name


def _link(own: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(own.resolve())


def _same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()
