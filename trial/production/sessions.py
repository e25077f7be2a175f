"""Which day is to be scored on a morning: the last session that has closed."""

from __future__ import annotations

import datetime as dt
import warnings

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
    import exchange_calendars

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = (now - dt.timedelta(days=30)).date().isoformat()
            exchange = exchange_calendars.get_calendar(calendar, start=start)
    except exchange_calendars.errors.InvalidCalendarName as error:
        raise DataError(
            f"a calendar must be an exchange's code such as XTKS or XNYS, got {calendar!r}. Give one, or the day "
            f"itself with --date."
        ) from error
    closes = exchange.closes
    closed = closes[closes <= now.astimezone(dt.UTC)]
    return closed.index[-1].date()


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
