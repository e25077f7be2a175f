"""What of an earlier store still holds: the days before the first change, column by column.

A panel that has grown by days or by columns shares most of its row groups with the one before. The first day of a row
group that only one of the two has is the first day that must be read again; everything before is copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.axes import Axes
from data.columns import Columns
from data.dense import DenseFile
from data.errors import DataError
from data.ingest import Files, Pass
from data.source import Source
from data.store import StoreMeta, read_meta

MANIFEST = "manifest.npz"
UNUSABLE = (DataError, OSError, ValueError, KeyError)  # another layout, or a store that is being removed


@dataclass(frozen=True)
class Manifest:
    """The row groups of a panel: digests of their column chunks and the dates that they span."""

    columns: list[str]
    digests: np.ndarray  # [G, C] uint64
    days: np.ndarray  # [G, 2] datetime64[D], first and last

    def save(self, folder: Path) -> None:
        """Beside the store that was made of it."""
        days = self.days.astype(np.int64)
        np.savez_compressed(folder / MANIFEST, columns=np.array(self.columns), digests=self.digests, days=days)

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        with np.load(folder / MANIFEST) as content:
            return cls(content["columns"].tolist(), content["digests"], content["days"].astype("datetime64[D]"))

    def first_days(self, columns: list[str]) -> dict[bytes, np.datetime64]:
        """Digest of the columns in a row group -> the group's first date."""
        places = [self.columns.index(name) for name in columns]
        return {row.tobytes(): span[0] for row, span in zip(self.digests[:, places], self.days, strict=True)}


@dataclass(frozen=True)
class Reuse:
    """An earlier store, and the day positions up to which its cells are those of the new one."""

    folder: Path
    meta: StoreMeta
    base: int  # prices, targets, labels and built-in features are copied before this day
    targets: int  # the user's own targets are: those later than this look past a day that has changed
    own: dict[str, int]  # own feature -> copied before this day

    def copy(self, files: Files, columns: Columns, axes: Axes, num_built_in: int) -> None:
        """Fills the new files with what the earlier store has, at the places that its stocks have now."""
        now = axes.positions(self.meta.codes)
        kept = np.flatnonzero(now >= 0)
        for name in ("present", "bars", "labels"):
            file = {"present": files.present, "bars": files.bars, "labels": files.targets}[name]
            if file is not None:
                days = self.targets if name == "labels" else self.base
                _copy_days(self.folder / f"{name}.npy", file, days, kept, now[kept])
        for role, file in files.labels.items():
            recode = _recoding(self.meta.vocabularies.get(role, []), axes.labels[role])
            _copy_days(self.folder / f"{role}.npy", file, self.base, kept, now[kept], recode=recode)
        for days, pairs in self._columns(columns, num_built_in).items():
            old, new = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
            _copy_days(self.folder / "features.npy", files.features, days, kept, now[kept], (old, new))

    def _columns(self, columns: Columns, num_built_in: int) -> dict[int, list[tuple[int, int]]]:
        """Days that are copied -> (column there, column here) of the features."""
        before = {name: number for number, name in enumerate(self.meta.features)}
        pairs = {self.base: [(number, number) for number in range(num_built_in)]} if num_built_in else {}
        for number, name in enumerate(columns.own):
            if self.own[name]:
                pairs.setdefault(self.own[name], []).append((before[name], num_built_in + number))
        return pairs

    def passes(self, source: Source, columns: Columns, axes: Axes) -> list[Pass]:
        """What is left to read, columns with the same first day in one reading."""
        lag = {name: group.lag for group in columns.groups for name in group.columns}
        by_day: dict[int, list[str]] = {self.base: []}
        for name, day in self.own.items():
            by_day.setdefault(day, []).append(name)
        jobs = []
        for day, names in sorted(by_day.items()):
            rest = day == self.base
            first = min(
                day - max([0, *(lag[name] for name in names)]), self.targets if rest and columns.targets else day
            )
            from_date = axes.dates[max(0, first)] if first < len(axes.dates) else None
            groups = [
                group
                for group, span in zip(source.row_groups, axes.group_days, strict=True)
                if from_date is not None and span[1] >= from_date
            ]
            jobs.append(Pass(tuple(names), rest, groups, day, self.targets))
        return jobs


def find_reuse(prepared: Path, settings: str, manifest: Manifest, columns: Columns, axes: Axes) -> Reuse | None:
    """The earlier store with the same settings that leaves the least to be read, if any leaves something."""
    best = None
    for folder in _stores(prepared):
        try:
            found = _compare(folder, settings, manifest, columns, axes)
        except UNUSABLE:
            continue
        if found is not None and (best is None or _saved(found) > _saved(best)):
            best = found
    return best


def has_changed_throughout(prepared: Path, settings: str, axes: Axes) -> bool:
    """Whether an earlier store is of this market and these settings: another order of rows would have let it help."""
    for folder in _stores(prepared):
        try:
            meta = read_meta(folder)
        except UNUSABLE:
            continue
        if meta.settings_key == settings and 2 * len(set(meta.codes) & set(axes.codes.tolist())) > len(meta.codes):
            return True
    return False


def _stores(prepared: Path) -> list[Path]:
    """The finished stores in a folder."""
    return [
        folder
        for folder in sorted(prepared.iterdir())
        if not folder.name.startswith(".") and (folder / MANIFEST).exists() and (folder / "meta.json").exists()
    ]


def _saved(reuse: Reuse) -> int:
    return reuse.base + sum(reuse.own.values())


def _compare(folder: Path, settings: str, manifest: Manifest, columns: Columns, axes: Axes) -> Reuse | None:
    meta = read_meta(folder)
    if meta.settings_key != settings or meta.roles != columns.roles or meta.built_in != bool(columns.built_in):
        return None
    if {str(h): name for h, name in columns.targets.items()} != meta.targets:
        return None
    before = Manifest.load(folder)
    rest = [name for name in (*columns.roles.values(), *columns.targets.values()) if name in manifest.columns]
    dates = np.array(meta.dates, dtype="datetime64[D]")
    shared = min(len(dates), len(axes.dates))
    differing = np.flatnonzero(dates[:shared] != axes.dates[:shared])
    shared = int(differing[0]) if len(differing) else shared
    base = min(shared, _first_change(before, manifest, rest, axes))
    own = {}
    for group in columns.groups:
        for name in group.columns:
            known = name in meta.features and meta.lags.get(group.name, 0) == group.lag
            keys = list(dict.fromkeys([*_keys(columns), name]))
            own[name] = min(base, _first_change(before, manifest, keys, axes)) if known else 0
    reach = meta.horizons[-1] + meta.delay
    return Reuse(folder, meta, base, max(0, base - reach), own) if base > 0 else None


def _keys(columns: Columns) -> list[str]:
    return [columns.roles["date"], columns.roles["code"]]


def _first_change(before: Manifest, after: Manifest, columns: list[str], axes: Axes) -> int:
    """Position of the first date that a row group in one of the two alone touches; all days where none does."""
    if any(name not in before.columns or name not in after.columns for name in columns):
        return 0
    old, new = before.first_days(columns), after.first_days(columns)
    alone = [span for rows, others in ((old, new), (new, old)) for key, span in rows.items() if key not in others]
    return int(np.searchsorted(axes.dates, min(alone))) if alone else len(axes.dates)


def _recoding(before: list[str], after: tuple[str, ...]) -> np.ndarray:
    """Code in the earlier vocabulary -> code in the new one; 0 stays unknown."""
    place = {value: number + 1 for number, value in enumerate(after)}
    return np.array([0, *(place.get(value, 0) for value in before)], np.int16)


def _copy_days(
    path: Path,
    file: DenseFile,
    days: int,
    old_stock: np.ndarray,
    new_stock: np.ndarray,
    columns: tuple[np.ndarray, np.ndarray] | None = None,  # there, here
    recode: np.ndarray | None = None,
) -> None:
    """Copies the first days of an earlier array, a stretch at a time, to where its stocks and columns are now."""
    source = np.load(path, mmap_mode="r")
    same_columns = columns is None or (len(columns[0]) == source.shape[2] and np.array_equal(*columns))
    same_stocks = file.shape[1:] == source.shape[1:] and np.array_equal(old_stock, new_stock)
    if same_columns and same_stocks and len(new_stock) == source.shape[1] and recode is None:
        _copy_bytes(path, file, days)
        return
    for start in range(0, days, file.stretch):
        stop = min(start + file.stretch, days)
        values = source[start:stop][:, old_stock]
        target = file.days(start, stop)
        if recode is not None:
            values = recode[values]
        if len(new_stock) < target.shape[1] and target.dtype.kind == "f":  # stocks that listed since
            target[:, np.setdiff1d(np.arange(target.shape[1]), new_stock)] = np.nan
        if columns is None:
            target[:, new_stock] = values
        else:
            target[:, new_stock[:, None], columns[1]] = values[..., columns[0]]


def _copy_bytes(path: Path, file: DenseFile, days: int) -> None:
    """The first days as they lie on the disk."""
    with path.open("rb") as source, file.path.open("r+b") as target:
        np.lib.format.read_magic(source)
        np.lib.format.read_array_header_1_0(source)
        target.seek(file.offset)
        left = days * file.day_bytes
        while left > 0 and (piece := source.read(min(left, 1 << 22))):
            target.write(piece)
            left -= len(piece)
