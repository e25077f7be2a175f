"""`python -m trial.retrain NAME PANEL`: the champion's configuration, learned through a later day: a challenger."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from data.errors import DataError
from reports.console import open_console, refused, start
from search_spaces.errors import SpaceError
from storage.bundle import publish, refuse_existing, scratch_beside, seal
from storage.database import open_existing
from storage.errors import StorageError
from storage.registry import Entry, note, read_registry
from trial.facts import whole_provenance
from trial.machine import Machine
from trial.options import Runs, Storage, folder_of, url_of, where
from trial.predict import PanelPath
from trial.production.bundle import CARD, METRICS, PROVENANCE, Bundle, read_bundle
from trial.production.card import CARD_OF_RETRAINED
from trial.production.champion import entry_of, open_entry
from trial.production.expectation import EXPECTED
from trial.production.growth import dates_of
from trial.production.networks import CONFIG, write_json
from trial.production.proof import prove
from trial.production.thresholds import THRESHOLDS
from trial.production.through import set_through, train_through
from trial.registry import Sweep
from trial.settings import read_settings
from trial.train_request import device_of

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
OF_THE_PARENT = (CONFIG, METRICS, EXPECTED, THRESHOLDS)


@app.command()
def retrain(
    name: Sweep,
    panel: PanelPath,
    through: Annotated[
        dt.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Last day to learn. (default: the panel's last)", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Bundle to write. (default: <runs>/NAME/bundle-through-DATE)", show_default=False),
    ] = None,
    runs: Runs = None,
    storage: Storage = None,
) -> None:
    """Train the champion's configuration on every day through a later one, and register it as a challenger.

    Nobody has scored it: it is promoted (trial.registry) by days that come after it.
    """
    console = open_console()
    try:
        opened = open_existing(url_of(storage, runs))
        champion = read_registry(opened, name).champion
        if champion is None:
            raise StorageError(
                f"a retraining starts from the champion, but {name} has none. Add it: python -m trial.registry add "
                f"{name} BUNDLE."
            )
        parent = open_entry(champion)
        date = _last_day(panel, parent) if through is None else through.date()
        folder = out or folder_of(runs) / name / f"bundle-{set_through(date)}"
        refuse_existing(folder, force=False, way="Choose another with --out.")
        proof = _write(parent, champion, panel, folder, date, folder_of(runs), console)
        entry = entry_of(read_bundle(folder))
        note(opened, name, "registered", entry, f"the configuration of {champion.short}, learned through {date}")
    except (SpaceError, DataError, StorageError) as error:
        raise refused(error) from None
    for line in proof:
        console.print(line, soft_wrap=True)
    console.print(f"challenger {entry.short} {entry.weights}, {folder}", soft_wrap=True)
    options = f"--panel {panel}{where(runs, storage)}"
    console.print(f"next       python -m trial.registry compare {name} {options}, when days have come", soft_wrap=True)


def _last_day(panel: Path, parent: Bundle) -> dt.date:
    days = dates_of(panel, parent.networks.contract.roles["date"])
    if not len(days):
        raise DataError(f"a panel must have days to be learned from, but {panel} has none.")
    return dt.date.fromisoformat(str(days[-1]))


def _write(
    parent: Bundle, champion: Entry, panel: Path, folder: Path, date: dt.date, runs: Path, console: Console
) -> list[str]:
    """The bundle; what its proof said."""
    settings = read_settings()
    machine = Machine.of(settings, device_of(settings))
    with scratch_beside(folder) as scratch:
        own = scratch / set_through(date)
        market = train_through(own, parent.networks, panel, runs / "prepared", date, machine, console)
        for file in OF_THE_PARENT:
            shutil.copyfile(parent.folder / file, scratch / file)
        _say_where_from(parent, champion, scratch, date)
        seal(scratch)
        proof = prove(scratch, folder.name, own.name, market)
        publish(scratch, folder, force=False)
    return proof


def _say_where_from(parent: Bundle, champion: Entry, scratch: Path, date: dt.date) -> None:
    before = json.loads((parent.folder / PROVENANCE).read_text())
    lineage = {"bundle": parent.sha256, "weights": champion.weights, "provenance": before}
    command = ["python", "-m", "trial.retrain", *sys.argv[1:]]
    write_json(scratch / PROVENANCE, {"parent": lineage, "trained_by": whole_provenance(), "command": command})
    later = CARD_OF_RETRAINED.format(name=set_through(date), date=date, bundle=champion.short, weights=champion.weights)
    (scratch / CARD).write_text((parent.folder / CARD).read_text() + later)


if __name__ == "__main__":
    start(app)
