"""First pass over a panel: its trading days, its stocks and its labels, read from the key columns alone."""

from __future__ import annotations

import datetime as dt
import re
import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.columns import Columns
from data.config import DataConfig, SplitConfig
from data.errors import DataError
from data.source import Source

KEY_ROWS = 1 << 17
UNKNOWN = ""
BASIC_DAY = r"^(\d{4})(\d{2})(\d{2})$"


@dataclass(frozen=True)
class Axes:
    """D days x N stocks, hold-out cut off, and the vocabulary of each label column."""

    dates: np.ndarray  # [D] datetime64[D], ascending, without the hold-out
    codes: np.ndarray  # [N] str, ascending: those with a row on one of the dates
    labels: dict[str, tuple[str, ...]]  # role -> values that occur on these dates, ascending
    all_dates: np.ndarray  # with the hold-out; `dates` are its first
    all_codes: np.ndarray  # with those that list in the hold-out
    group_days: np.ndarray  # [row groups, 2] datetime64[D]: first and last date of each

    @property
    def holdout_from(self) -> str | None:
        """The first day of the hold-out."""
        return str(self.all_dates[len(self.dates)]) if len(self.dates) < len(self.all_dates) else None

    @property
    def held_out_through(self) -> str | None:
        """The last day of it."""
        return str(self.all_dates[-1]) if self.holdout_from else None

    @cached_property
    def kept_stock(self) -> np.ndarray:
        """Position among all codes -> position among `codes`, -1 for those that list later."""
        return self.positions(self.all_codes.tolist())

    def positions(self, codes: list[str]) -> np.ndarray:
        """[len(codes)] positions among `codes` of these axes, -1 for those that are not there."""
        place = {code: number for number, code in enumerate(self.codes.tolist())}
        return np.array([place.get(code, -1) for code in codes], np.int64)


def read_axes(source: Source, columns: Columns, config: DataConfig) -> Axes:
    """Streams the key columns once.

    Raises:
        DataError: dates or codes that are none, an empty panel, rows outside the calendar.
    """
    keys = KeyReader(source, columns)
    dates: set[np.datetime64] = set()
    first_seen: dict[str, dict[str, np.datetime64]] = {role: {} for role in ("code", *columns.labels)}
    place = {group: row for row, group in enumerate(source.row_groups)}
    group_days = np.full((len(place), 2), np.datetime64("NaT"), "datetime64[D]")
    wanted = [columns.roles[role] for role in ("date", "code", *columns.labels)]
    for group, batch in source.batches(wanted, KEY_ROWS):
        day, code = keys.parse(batch)
        days = day.to_numpy(zero_copy_only=False).astype("datetime64[D]")
        dates.update(np.unique(days))
        span = group_days[place[group]]
        span[:] = np.fmin(span[0], days.min()), np.fmax(span[1], days.max())  # fmin and fmax pass over NaT
        for role, values in (("code", code), *((r, keys.text(batch, r)) for r in columns.labels)):
            _note_first(first_seen[role], values, days)
    if not dates:
        raise DataError(f"a panel must hold rows, but {source.path} is empty. Check the path.")
    every = _calendar_days(np.array(sorted(dates), dtype="datetime64[D]"), config.calendar)
    kept = every[: num_kept_days(every, config.splits)]
    last = kept[-1] if len(kept) else np.datetime64("1900-01-01")
    known = {role: sorted(v for v, first in seen.items() if first <= last) for role, seen in first_seen.items()}
    labels = {role: tuple(v for v in known[role] if v != UNKNOWN) for role in columns.labels}
    codes, all_codes = np.array(known["code"], dtype=str), np.array(sorted(first_seen["code"]), dtype=str)
    return Axes(kept, codes, labels, every, all_codes, group_days)


class KeyReader:
    """Dates, codes and labels of a batch as plain arrays, or the first value that cannot be one."""

    def __init__(self, source: Source, columns: Columns) -> None:
        self.path, self.roles = source.path, columns.roles

    def parse(self, batch: pa.RecordBatch) -> tuple[pa.Array, pa.Array]:
        """(date32 [rows], dictionary of strings [rows]); raises DataError where a key is null or no key."""
        day, code = self._dates(batch.column(self.roles["date"])), self._strings(batch, "code")
        for role, column in (("date", day), ("code", code)):
            if column.null_count:
                raise DataError(
                    f"{role} must never be null, but {self.roles[role]} of {self.path} is, in {column.null_count} rows "
                    f"of the first batch that has any. Remove them, or fill them in."
                )
        return day, code

    def text(self, batch: pa.RecordBatch, role: str) -> pa.Array:
        """Dictionary-encoded strings of a label column, "" where unknown."""
        return self._strings(batch, role, fill=UNKNOWN)

    def _strings(self, batch: pa.RecordBatch, role: str, fill: str | None = None) -> pa.Array:
        column = batch.column(self.roles[role])
        try:
            plain = column.cast(pa.string()) if not pa.types.is_dictionary(column.type) else column
            if fill is not None and plain.null_count:
                plain = pc.fill_null(plain.cast(pa.string()), fill)
            encoded = plain if pa.types.is_dictionary(plain.type) else plain.dictionary_encode()
            return pa.DictionaryArray.from_arrays(encoded.indices, encoded.dictionary.cast(pa.string()))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(
                f"{role} must be text, but {self.path} holds {column.type} in {self.roles[role]}. Store it as text."
            ) from error

    def _dates(self, column: pa.Array) -> pa.Array:
        """date32 from dates, zoneless timestamps or ISO text; an integer could mean anything and is refused."""
        plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        law = "dates must be Parquet dates, timestamps without a time zone or ISO days (2020-01-31, 20200131)"
        where = f"{self.roles['date']} of {self.path}"
        if pa.types.is_timestamp(plain.type) and plain.type.tz:
            raise DataError(f"{law}, but {where} is in zone {plain.type.tz}. Store the exchange's own day.")
        is_text = pa.types.is_string(plain.type) or pa.types.is_large_string(plain.type)
        if not (is_text or pa.types.is_date(plain.type) or pa.types.is_timestamp(plain.type)):
            raise DataError(f"{law}, but {where} holds {plain.type}, such as {plain[0].as_py()!r}. Convert the column.")
        if pa.types.is_date32(plain.type):
            return plain
        try:
            days = pc.replace_substring_regex(plain, BASIC_DAY, r"\1-\2-\3") if is_text else plain
            return pc.cast(days, pa.date32())
        except pa.ArrowInvalid as error:
            wrong = [value for value in plain.to_pylist() if value is not None and not _is_day(str(value))]
            example = repr(wrong[0]) if wrong else str(error)
            raise DataError(
                f"{law}, but {where} holds {len(wrong)} others in the first batch that has any, such as {example}. "
                f"Correct or remove such rows."
            ) from error


def _is_day(text: str) -> bool:
    """Whether `_dates` would read it: YYYY-MM-DD or YYYYMMDD and nothing else."""
    try:
        return dt.date.fromisoformat(text).isoformat() in (text, re.sub(BASIC_DAY, r"\1-\2-\3", text))
    except ValueError:
        return False


def _note_first(seen: dict[str, np.datetime64], values: pa.Array, days: np.ndarray) -> None:
    """Remembers the first day of each distinct value."""
    indices = values.indices.to_numpy(zero_copy_only=False)
    first = np.full(len(values.dictionary), np.iinfo(np.int64).max)
    np.minimum.at(first, indices, days.astype(np.int64))
    for value, day in zip(values.dictionary.to_pylist(), first, strict=True):
        if day != np.iinfo(np.int64).max:
            when = np.datetime64(int(day), "D")
            seen[value] = min(seen.get(value, when), when)


def num_kept_days(dates: np.ndarray, splits: SplitConfig) -> int:
    """Days before the hold-out, which is pinned to a date or counted from the end."""
    if splits.holdout_from is not None:
        return int(np.searchsorted(dates, np.datetime64(splits.holdout_from)))
    return max(0, len(dates) - splits.holdout_days)


def _calendar_days(dates: np.ndarray, name: str) -> np.ndarray:
    """The panel's own dates, or all sessions of an exchange between its first and last.

    Raises:
        DataError: an unknown calendar, or rows on days that are no session.
    """
    if name == "panel":
        return dates
    import exchange_calendars

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            calendar = exchange_calendars.get_calendar(name, start=str(dates[0]), end=str(dates[-1]))
    except exchange_calendars.errors.InvalidCalendarName as error:
        raise DataError(
            f"calendar must be 'panel' or an exchange's code such as XTKS or XNYS, got {name!r}. All codes: "
            f"exchange_calendars.get_calendar_names()."
        ) from error
    except ValueError as error:
        raise DataError(f"calendar {name} must cover the panel's dates: {error}") from error
    sessions = calendar.sessions.to_numpy().astype("datetime64[D]")
    outside = np.setdiff1d(dates, sessions)
    if len(outside):
        raise DataError(
            f"rows must lie on sessions of {name}, but {len(outside)} days of the panel are none; first: "
            f"{outside[0]}. Remove them, or set calendar to panel."
        )
    return sessions[(sessions >= dates[0]) & (sessions <= dates[-1])]
