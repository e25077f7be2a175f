"""An exchange's days: the last session that has closed, and those that a panel lacks."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Sequence
from typing import Any

from data.errors import DataError

WEEKDAYS = "panel"  # as a panel's calendar: none is known, so every weekday counts
SATURDAY = 5


def last_closed(now: dt.datetime, calendar: str) -> dt.date:
    """The last day whose session is over.

    Args:
        now: with its time zone.
        calendar: an exchange's code such as XTKS or XNYS; 'panel': the last weekday before today.

    Raises:
        DataError: an unknown calendar.
    """
    if calendar == WEEKDAYS:
        day = now.date() - dt.timedelta(days=1)
        while day.weekday() >= SATURDAY:
            day -= dt.timedelta(days=1)
        return day
    closes = _exchange(calendar, (now - dt.timedelta(days=30)).date()).closes
    closed = closes[closes <= now.astimezone(dt.UTC)]
    return closed.index[-1].date()


def lost_days(dates: Sequence[dt.date], calendar: str) -> list[dt.date]:
    """Sessions from the first to the last of the dates that are not among them.

    Args:
        dates: of a panel, in their order.
        calendar: an exchange's code; 'panel': none is known, so these are weekdays, and may be holidays.

    Raises:
        DataError: an unknown calendar.
    """
    first, last = dates[0], dates[-1]
    if calendar == WEEKDAYS:
        span = (first + dt.timedelta(days=n) for n in range((last - first).days))
        sessions = [day for day in span if day.weekday() < SATURDAY]
    else:
        sessions = [each.date() for each in _exchange(calendar, first).sessions if first <= each.date() <= last]
    return sorted(set(sessions) - set(dates))


def _exchange(calendar: str, start: dt.date) -> Any:
    import exchange_calendars

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return exchange_calendars.get_calendar(calendar, start=start.isoformat())
    except exchange_calendars.errors.InvalidCalendarName as error:
        raise DataError(
            f"a calendar must be an exchange's code such as XTKS or XNYS, got {calendar!r}. Give one, or the day "
            f"itself with --date."
        ) from error


def deadline_of(text: str | None, now: dt.datetime) -> dt.datetime | None:
    """Today at HH:MM of `now`'s time zone.

    Raises:
        DataError: no such time.
    """
    if text is None:
        return None
    try:
        time = dt.time.fromisoformat(text)
    except ValueError:
        raise DataError(f"a deadline must be a time such as 08:30, got {text!r}.") from None
    return dt.datetime.combine(now.date(), time, now.tzinfo)
