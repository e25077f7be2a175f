"""`python -m trial.daily BUNDLE PANEL`: every morning: append, inspect, predict, monitor, publish, once and in time."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from filelock import FileLock, Timeout
from rich.console import Console

from data.errors import DataError
from data.source import Source
from data.store import MarketStore
from reports.console import open_console, refused, start
from reports.monitoring.checks import check, worst
from reports.monitoring.thresholds import Thresholds
from storage.bundle import BundleError
from storage.errors import StorageError
from trial.monitor import ALARM, ThresholdsFile, show, tell, thresholds_of
from trial.notify import notify
from trial.options import Runs, Storage, folder_of
from trial.predict import AnyBundle, PanelPath, Weights
from trial.production.bundle import Bundle
from trial.production.champion import open_bundle
from trial.production.growth import append, dates_of, grown, has_rows_of, place_of_day, refuse_no_folder, refuse_overlap
from trial.production.last_days import refuse_strange_day
from trial.production.panel import open_panel
from trial.production.publication import PAGE, SCORES, read_publication, refuse_other_bundle, write_publication
from trial.production.sessions import deadline_of, last_closed
from trial.production.watch import observe
from trial.settings import read_settings

LATE = 3
POLL_SECONDS = 5.0
KEPT_STORES = 2  # of the mornings before: what has not changed is copied from there
PUBLISHED = "published"
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


class TooLate(Exception):
    """The day is not there in time; nothing is published."""


@dataclass(frozen=True)
class Morning:
    """What was asked for."""

    bundle: Bundle
    panel: Path
    new: Path | None
    day: dt.date
    calendar: str
    deadline: dt.datetime | None
    out: Path
    limits: Thresholds
    holds_alarms: bool
    force: bool

    @property
    def folder(self) -> Path:
        """Of the day's publication."""
        return self.out / self.day.isoformat()


@app.command()
def daily(
    bundle: AnyBundle,
    panel: PanelPath,
    new: Annotated[
        Path | None,
        typer.Option("--append", help="File of new days, for a panel that is a folder.", show_default=False),
    ] = None,
    date: Annotated[
        dt.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Day to score. (default: the last closed session)", show_default=False),
    ] = None,
    calendar: Annotated[
        str | None,
        typer.Option(help="Exchange whose sessions count, such as XTKS. (default: the bundle's)", show_default=False),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="Deadline, local time such as 08:30: waited for, and kept. (default: none, no waiting)"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of publications. (default: <runs>/published)", show_default=False)
    ] = None,
    hold: Annotated[bool, typer.Option("--hold", help="With an alarm of the monitor, publish nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what was published for the day.")] = False,
    thresholds: ThresholdsFile = None,
    weights: Weights = None,
    runs: Runs = None,
    storage: Storage = None,
) -> None:
    """Publish one day's scores, or say why not; run again, it changes nothing.

    A day has its own folder, OUT/2024-01-31/, with scores, the monitor's page, and a manifest. There is no 'latest':
    whoever reads today's folder gets today's scores or none.

    Exit status 0: published, now or before. 1: published with an alarm of the monitor (or held). 2: the bundle or the
    data is refused. 3: late. ATFT_NOTIFY_URL is told of 1, 2 and 3.
    """
    console = open_console()
    now = dt.datetime.now().astimezone()
    try:
        found = open_bundle(bundle, weights, runs, storage)
        limits = thresholds_of(found, thresholds)
        own = calendar or found.networks.members[0].config.data.calendar
        closed = last_closed(now, own)  # refuses an unknown calendar, whose sessions are looked for with --date too
        day = date.date() if date is not None else closed
        place = out or folder_of(runs) / PUBLISHED
        morning = Morning(found, panel, new, day, own, deadline_of(by, now), place, limits, hold, force)
        with _alone(morning):
            status = _publish(morning, console)
    except TooLate as late:
        _post(f"{bundle}: late", str(late))
        print(f"late: {late}")
        raise typer.Exit(LATE) from None
    except (DataError, StorageError) as error:
        _post(f"{bundle}: refused", str(error))
        raise refused(error) from None
    if status:
        raise typer.Exit(status)


@contextmanager
def _alone(morning: Morning) -> Iterator[None]:
    """Raises BundleError where another process publishes here, or the folder cannot be written."""
    lock = FileLock(morning.out / ".lock", timeout=0)
    try:
        morning.out.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise BundleError(f"one process publishes at a time, but another one does, in {morning.out}.") from None
    except OSError as error:
        raise BundleError(f"scores need a folder that can be written, but {morning.out} is none: {error}") from error
    try:
        yield
    finally:
        lock.release()


def _publish(morning: Morning, console: Console) -> int:
    """The exit status."""
    about = None if morning.force else read_publication(morning.folder)
    if about is not None:
        refuse_other_bundle(about, morning.bundle, morning.folder)
        console.print(
            f"published  {morning.folder / SCORES}, already at {about['made']}; nothing was done", soft_wrap=True
        )
        return ALARM if about["state"] == "alarm" else 0
    store = _panel_with_day(morning, console)
    day = place_of_day(store, np.datetime64(morning.day))
    if day is None:
        raise TooLate(f"the panel ends with {store.dates[-1]} and does not have {morning.day}; nothing is published")
    refuse_strange_day(morning.bundle.networks, store, day, morning.calendar, console)
    observed = observe(morning.bundle, store, day)
    checks = check(observed, morning.limits)
    show(checks, console)
    is_alarm = worst(checks) == "alarm"
    if is_alarm and (told := tell(observed, checks)) is not None:
        console.print(told)
    if is_alarm and morning.holds_alarms:
        console.print(f"held       {morning.day} is not published: the monitor has an alarm, and --hold was given")
        return ALARM
    done = write_publication(
        morning.folder, morning.bundle, store, day, observed, checks, morning.limits, morning.deadline, morning.force
    )
    if not done:
        raise TooLate(f"{morning.day} was ready after the deadline, {morning.deadline:%H:%M}; nothing is published")
    console.print(f"published  {morning.folder / SCORES}", soft_wrap=True)
    console.print(f"monitor    {morning.folder / PAGE}", soft_wrap=True)
    return ALARM if is_alarm else 0


def _panel_with_day(morning: Morning, console: Console) -> MarketStore:
    """Waits for the day until the deadline, takes the new file in where it passes, and prepares the panel."""
    networks, prepared = morning.bundle.networks, morning.out / ".prepared"
    column = networks.contract.roles["date"]
    if morning.new is not None:
        refuse_no_folder(morning.panel)
    _wait(morning, column, console)
    if morning.new is not None and not has_rows_of(morning.panel, morning.new):
        refuse_overlap(morning.panel, morning.new, column)
        networks.contract.refuse_lacking(Source.open(morning.new))
        with grown(morning.panel, morning.new) as together:
            store = open_panel(networks, together, prepared, console, with_labels=True)
            for date in dates_of(morning.new, column):
                place = int(np.searchsorted(store.dates, date))
                refuse_strange_day(networks, store, place, morning.calendar, Console(quiet=True))
        console.print(f"appended   {append(morning.panel, morning.new)}", soft_wrap=True)
    store = open_panel(networks, morning.panel, prepared, console, with_labels=True)
    _forget_stores(prepared)
    return store


def _wait(morning: Morning, column: str, console: Console) -> None:
    """Until the file, or the panel, has the day; one that is being written cannot be read yet.

    Raises:
        TooLate: it does not, by the deadline; at once where there is none.
        DataError: what is there by then cannot be read.
    """
    source, has_said = morning.new or morning.panel, False
    while True:
        is_over = morning.deadline is None or dt.datetime.now(morning.deadline.tzinfo) > morning.deadline
        ends = f"{source} is not there"
        try:
            if source.exists():
                days = dates_of(source, column)
                if np.datetime64(morning.day) in days:
                    return
                ends = f"{source} ends with {days[-1]}" if len(days) else f"{source} is empty"
        except DataError:
            if is_over:
                raise
            ends = f"{source} cannot be read yet"
        if is_over:
            when = "" if morning.deadline is None else f" by {morning.deadline:%H:%M}"
            raise TooLate(f"{morning.day} must be in the data{when}, but {ends}; nothing is published")
        if not has_said and morning.deadline is not None:
            console.print(f"waiting    for {morning.day} until {morning.deadline:%H:%M}: {ends}", soft_wrap=True)
        has_said = True
        time.sleep(POLL_SECONDS)


def _forget_stores(prepared: Path) -> None:
    """All but the newest, which the next morning copies from."""
    stores = sorted((path.parent for path in prepared.glob("*/meta.json")), key=lambda path: path.stat().st_mtime)
    for store in stores[:-KEPT_STORES]:
        shutil.rmtree(store, ignore_errors=True)


def _post(headline: str, details: str) -> Any:
    return notify(read_settings(), f"daily {headline}", details)


if __name__ == "__main__":
    start(app)
