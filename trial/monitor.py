"""`python -m trial.monitor BUNDLE PANEL`: whether a network still sees what it learned from, and still ranks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from data.errors import DataError
from reports.console import open_console, refused, start
from reports.monitoring.checks import Check, check, worst
from reports.monitoring.observed import Observed
from reports.monitoring.page import as_dict, monitor_page
from reports.monitoring.thresholds import Thresholds
from storage.errors import StorageError
from storage.files import write_whole
from trial.notify import notify
from trial.options import Runs, Storage, folder_of
from trial.predict import AnyBundle, PanelPath, Weights
from trial.production.bundle import Bundle
from trial.production.champion import open_bundle
from trial.production.days import LAST, days_of
from trial.production.last_days import refuse_strange_day
from trial.production.panel import open_panel
from trial.production.scoring import Scorer
from trial.production.thresholds import THRESHOLDS, read_thresholds
from trial.production.watch import observe
from trial.settings import read_settings

ALARM = 1
COLOURS = {"ok": "green", "unknown": "bright_black", "watch": "yellow", "alarm": "red"}
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)

ThresholdsFile = Annotated[
    Path | None,
    typer.Option("--thresholds", help="YAML of other thresholds. (default: the bundle's)", show_default=False),
]


@app.command()
def monitor(
    bundle: AnyBundle,
    panel: PanelPath,
    date: Annotated[str, typer.Option(help="Day such as 2024-01-31, or last.")] = LAST,
    out: Annotated[
        Path | None, typer.Option(help="HTML page to write. (default: <runs>/monitor.html)", show_default=False)
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="The same for programs.", show_default=False)] = None,
    thresholds: ThresholdsFile = None,
    weights: Weights = None,
    runs: Runs = None,
    storage: Storage = None,
) -> None:
    """Hold the last days of a panel against those that a network learned from: columns, scores, RankIC, coverage.

    Exit status 0, or 1 with an alarm, of which ATFT_NOTIFY_URL is told; 2 where the bundle or the panel is refused.
    """
    console = open_console()
    try:
        found = open_bundle(bundle, weights, runs, storage)
        limits = thresholds_of(found, thresholds)
        store = open_panel(found.networks, panel, folder_of(runs) / "prepared", console, with_labels=True)
        days = days_of(date, store, Scorer(found.networks, store).first_day)
        if len(days) > 1:
            raise DataError(f"the monitor is about one day, got {date}. Name its day, or leave --date away.")
        refuse_strange_day(found.networks, store, days[0], None, console)
        observed = observe(found, store, days[0])
        checks = check(observed, limits)
        page = out or folder_of(runs) / "monitor.html"
        write_findings(observed, checks, limits, page, json_file)
    except (DataError, StorageError) as error:
        raise refused(error) from None
    show(checks, console)
    console.print(f"monitor    {page}", soft_wrap=True)
    told = tell(observed, checks)
    if told is not None:
        console.print(told)
    if worst(checks) == "alarm":
        raise typer.Exit(ALARM)


def thresholds_of(bundle: Bundle, path: Path | None) -> Thresholds:
    """The bundle's, or of a file in their place; raises DataError where it cannot be read."""
    return read_thresholds(path or bundle.folder / THRESHOLDS)


def write_findings(
    observed: Observed, checks: list[Check], limits: Thresholds, page: Path, json_file: Path | None
) -> None:
    """Raises DataError where a file cannot be written."""
    files = {page: monitor_page(observed, checks, limits)}
    if json_file is not None:
        files[json_file] = json.dumps(as_dict(observed, checks), indent=1) + "\n"
    for path, text in files.items():
        try:
            write_whole(path, text)
        except OSError as error:
            raise DataError(f"the findings need a file that can be written, but {path} is none: {error}") from error


def show(checks: list[Check], console: Console) -> None:
    """A table where people read, a line each where programs do."""
    if not console.is_terminal:
        for each in checks:
            console.print(f"{each.name:<10} {each.state:<8} {each.sentence}")
        return
    table = Table(box=None, padding=(0, 1))
    for heading in ("check", "state", "finding"):
        table.add_column(heading)
    for each in checks:
        table.add_row(each.name, f"[{COLOURS[each.state]}]{each.state}[/]", each.sentence)
    Console(highlight=False).print(table)


def tell(observed: Observed, checks: list[Check]) -> str | None:
    """Posts an alarm; whether it arrived, in words, where there was one and somebody to tell."""
    alarms = [each for each in checks if each.state == "alarm"]
    settings = read_settings()
    if not alarms or settings.notify_url is None:
        return None
    details = "; ".join(f"{each.name}: {each.sentence}" for each in alarms)
    arrived = notify(settings, f"monitor of {observed.bundle}, {observed.day}: alarm", details)
    return "told       the alarm was posted" if arrived else "told       nobody: the alarm could not be posted"


if __name__ == "__main__":
    start(app)
