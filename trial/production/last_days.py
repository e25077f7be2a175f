"""A day that is to be scored must go on as those before it: columns alive and unbroken, no session lost."""

from __future__ import annotations

import datetime as dt

import numpy as np
from rich.console import Console

from data.continuity import refuse_break, refuse_hole
from data.errors import DataError
from data.fingerprint import refuse_dead_columns
from data.store import MarketStore
from reports.monitoring.thresholds import Thresholds
from trial.production.networks import Networks
from trial.production.sessions import WEEKDAYS, lost_days

NEAR = 20  # days in which every session is looked for
DOUBTED = 5  # and weekdays, where no calendar is known
FEW = Thresholds().coverage_alarm  # of the usual number of stocks


def refuse_strange_day(
    networks: Networks, store: MarketStore, day: int, calendar: str | None, console: Console
) -> None:
    """Looks at a day and at what it goes on from; says what is doubtful.

    Args:
        networks: that are to score it.
        store: of the panel.
        day: position in the store.
        calendar: an exchange's code, or None for the networks' own.
        console: for doubts.

    Raises:
        DataError: a column is dead, or not what it was on the days before; a session is missing.
    """
    refuse_dead_columns(networks.fingerprint, store, day)
    refuse_break(store, day)
    refuse_hole(store, day, networks.history_needed)
    _look_for_sessions(store, day, calendar or networks.members[0].config.data.calendar, console)
    num_stocks, usual = int(np.asarray(store.eligible[day]).sum()), networks.baseline.num_stocks
    if num_stocks < FEW * usual:
        console.print(
            f"doubt      {num_stocks} stocks are in the universe on {store.dates[day]}, and {usual:.0f} usually were"
        )


def _look_for_sessions(store: MarketStore, day: int, calendar: str, console: Console) -> None:
    is_known = calendar != WEEKDAYS
    near = store.dates[max(0, day - (NEAR if is_known else DOUBTED)) : day + 1]
    lost = lost_days([dt.date.fromisoformat(str(each)) for each in near], calendar)
    if not lost:
        return
    named = ", ".join(f"{each:%Y-%m-%d}" for each in lost)
    if is_known:
        raise DataError(
            f"a panel must have every session of {calendar} before the day that is scored, but it lacks {named}. Bring "
            f"what is missing."
        )
    console.print(f"doubt      no rows of {named}: holidays, or days that were lost; a calendar would tell")
