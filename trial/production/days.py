"""Days that a command was asked for: one, a stretch FROM..TO, all, or the last of a panel."""

from __future__ import annotations

import datetime as dt

import numpy as np

from data.errors import DataError
from data.store import MarketStore

LAST, ALL, BETWEEN = "last", "all", ".."


def days_of(asked: str, store: MarketStore, first: int) -> range:
    """Positions in the store.

    Args:
        asked: an ISO day, FROM..TO of which either may be left out, `all` or `last`.
        store: of the panel.
        first: the first day that can be scored.

    Raises:
        DataError: no such day, or too little history before it.
    """
    if store.num_days <= first:
        raise DataError(
            f"a day needs {first} days of history to be scored, but the panel has {store.num_days} in all. Bring a "
            f"longer one."
        )
    if asked == LAST:
        return range(store.num_days - 1, store.num_days)
    if asked == ALL:
        return range(first, store.num_days)
    start, between, end = asked.partition(BETWEEN)
    days = _stretch(_day(start), _day(end), store) if between else _one(_day(asked), store)
    if days.start < first:
        raise DataError(
            f"a day needs {first} days of history to be scored, but {store.dates[days.start]} has {days.start}. The "
            f"panel's first that can be is {store.dates[first]}."
        )
    return days


def _one(day: np.datetime64 | None, store: MarketStore) -> range:
    place = int(np.searchsorted(store.dates, day)) if day is not None else store.num_days
    if place == store.num_days or store.dates[place] != day:
        raise DataError(
            f"a day to be scored must be in the panel, which goes from {store.dates[0]} to {store.dates[-1]}, but "
            f"{day} is not."
        )
    return range(place, place + 1)


def _stretch(start: np.datetime64 | None, end: np.datetime64 | None, store: MarketStore) -> range:
    if start is not None and end is not None and start > end:
        raise DataError(f"days to be scored go from the earlier to the later one, got {start}{BETWEEN}{end}.")
    first = int(np.searchsorted(store.dates, start)) if start is not None else 0
    stop = int(np.searchsorted(store.dates, end, side="right")) if end is not None else store.num_days
    if first >= stop:
        raise DataError(
            f"days to be scored must be in the panel, which goes from {store.dates[0]} to {store.dates[-1]}, but none "
            f"lies between {start} and {end}."
        )
    return range(first, stop)


def _day(text: str) -> np.datetime64 | None:
    if not text:
        return None
    try:
        return np.datetime64(dt.date.fromisoformat(text), "D")
    except ValueError:
        raise DataError(f"a day must be written as 2024-01-31, FROM..TO, all or last, got {text!r}.") from None
