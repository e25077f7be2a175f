"""`python -m trial.registry COMMAND NAME`: which bundle works for a sweep, which one worked before, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from data.errors import DataError
from reports.console import open_console, refused, start
from storage.database import open_existing
from storage.errors import StorageError
from storage.record import stages_of
from storage.registry import Entry, Registry, note, read_registry
from trial.options import Runs, Storage, folder_of, url_of, where
from trial.predict import Weights
from trial.production.bundle import read_bundle
from trial.production.champion import CHAMPION, entry_of, open_entry
from trial.production.contest import Contest, contest
from trial.verify import BundleFolder

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Which bundle works for a sweep, which one worked before, and why. The log is never altered.",
)
Sweep = Annotated[str, typer.Argument(help="Sweep, such as gat_ablation.", show_default=False)]
Because = Annotated[str | None, typer.Option(help="Why, for the log; decides in the place of a comparison.")]
Panel = Annotated[Path, typer.Option("--panel", help="Panel with days that neither could know.", show_default=False)]
Challenger = Annotated[
    str | None, typer.Option(help="How its SHA-256 begins. (default: the newest challenger)", show_default=False)
]


@app.command()
def show(name: Sweep, runs: Runs = None, storage: Storage = None) -> None:
    """The champion, its challengers, and the whole log."""
    console = open_console()
    try:
        found = read_registry(open_existing(url_of(storage, runs)), name)
    except StorageError as error:
        raise refused(error) from None
    _say(found, where(runs, storage), console)
    for event in found.log:
        who = f"{event.time:%Y-%m-%d %H:%M} {event.who}"
        console.print(
            f"  {who}  {event.action} {event.entry.short} {event.entry.weights}: {event.reason}", soft_wrap=True
        )


@app.command()
def add(
    name: Sweep,
    bundle: BundleFolder,
    weights: Weights = None,
    because: Because = None,
    runs: Runs = None,
    storage: Storage = None,
) -> None:
    """Register a bundle as a challenger; the first one of a sweep becomes its champion."""
    console = open_console()
    try:
        opened = open_existing(url_of(storage, runs))
        stages_of(opened, name)
        entry = entry_of(read_bundle(bundle, weights))
        found = note(opened, name, "registered", entry, because or "added by hand")
        if found.champion is None:
            found = note(opened, name, "promoted", entry, because or "the first one")
    except (DataError, StorageError) as error:
        raise refused(error) from None
    _say(found, where(runs, storage), console)


@app.command()
def compare(
    name: Sweep,
    panel: Panel,
    challenger: Challenger = None,
    runs: Runs = None,
    storage: Storage = None,
) -> None:
    """Hold a challenger against the champion, on days after both were fixed. Every look goes into the log."""
    console = open_console()
    try:
        opened = open_existing(url_of(storage, runs))
        found = read_registry(opened, name)
        entry = found.challenger(challenger)
        outcome = _contest(found, entry, panel, folder_of(runs), console)
        note(opened, name, "compared", entry, outcome.sentence)
    except (DataError, StorageError) as error:
        raise refused(error) from None
    _say_outcome(found, entry, outcome, f"--panel {panel}{where(runs, storage)}", console)


@app.command()
def promote(
    name: Sweep,
    challenger: Challenger = None,
    panel: Annotated[
        Path | None, typer.Option(help="Panel with days that neither could know.", show_default=False)
    ] = None,
    because: Because = None,
    runs: Runs = None,
    storage: Storage = None,
) -> None:
    """Make a challenger the champion: where it is better, or no worse by more than .005, on days after both were fixed;
    or because of a reason that is given."""
    console = open_console()
    try:
        opened = open_existing(url_of(storage, runs))
        found = read_registry(opened, name)
        entry = found.challenger(challenger)
        reason = _reason(found, entry, panel, because, folder_of(runs), console)
        found = note(opened, name, "promoted", entry, reason)
    except (DataError, StorageError) as error:
        raise refused(error) from None
    _say(found, where(runs, storage), console)


@app.command()
def rollback(
    name: Sweep,
    because: Annotated[str, typer.Option(help="Why, for the log.", show_default=False)],
    runs: Runs = None,
    storage: Storage = None,
) -> None:
    """Give the work back to the champion before."""
    console = open_console()
    try:
        opened = open_existing(url_of(storage, runs))
        found = read_registry(opened, name)
        if len(found.reign) > 1:
            open_entry(found.reign[-2])  # refused here, or every morning after
        champion = found.champion or Entry("", "", "", "")
        found = note(opened, name, "rolled back", champion, because)
    except (DataError, StorageError) as error:
        raise refused(error) from None
    _say(found, where(runs, storage), console)


def _reason(
    found: Registry, entry: Entry, panel: Path | None, because: str | None, runs: Path, console: Console
) -> str:
    """For the log; raises StorageError where nothing speaks for the challenger."""
    open_entry(entry)
    if because is not None:
        return because
    if panel is None:
        raise StorageError(
            "a challenger is promoted by a comparison, or for a reason, but neither was given. Give --panel, or "
            "--because."
        )
    outcome = _contest(found, entry, panel, runs, console)
    if not outcome.may_promote:
        raise StorageError(
            f"a challenger is promoted where it is better, or surely no worse than .005, but {outcome.sentence}. Wait "
            f"for more days, or give --because."
        )
    return outcome.sentence


def _contest(found: Registry, entry: Entry, panel: Path, runs: Path, console: Console) -> Contest:
    if found.champion is None:
        raise StorageError(f"a challenger is held against a champion, but {found.sweep} has none. Promote one first.")
    return contest(open_entry(found.champion), open_entry(entry), panel, runs / "prepared", console)


def _say_outcome(found: Registry, entry: Entry, outcome: Contest, options: str, console: Console) -> None:
    champion = "" if found.champion is None else found.champion.short
    console.print(f"held       challenger {entry.short} against champion {champion}")
    looks = 1 + sum(event.action == "compared" for event in found.log)
    console.print(f"compared   {outcome.sentence}", soft_wrap=True)
    if looks > 1:
        console.print(f"looks      {looks} so far; who looks until something shows, will see it")
    if outcome.may_promote:
        console.print(f"next       python -m trial.registry promote {found.sweep} {options}", soft_wrap=True)


def _say(found: Registry, placed: str, console: Console) -> None:
    champion = found.champion
    if champion is None:
        console.print(f"champion   none of {found.sweep} was promoted yet")
    else:
        console.print(f"champion   {champion.short} {champion.weights}, {champion.folder}", soft_wrap=True)
    for entry in found.challengers:
        console.print(f"challenger {entry.short} {entry.weights}, {entry.folder}", soft_wrap=True)
    if champion is not None:
        console.print(f"next       python -m trial.daily {CHAMPION}{found.sweep} PANEL{placed}", soft_wrap=True)


if __name__ == "__main__":
    start(app)
