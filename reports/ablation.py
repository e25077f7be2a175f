"""`python -m reports.ablation NAME`: the report of a study and its confirm study, from the store alone."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer
from optuna.storages import RDBStorage

from reports.as_json import STANDARD_OUTPUT, as_json, write_json
from reports.console import refused, start
from reports.evidence import Evidence, read_evidence
from reports.options import Json, Runs, Storage, SweepName
from reports.page import render
from reports.section import Builder, Section, paragraph
from reports.sections import SECTIONS
from storage.address import store_of
from storage.database import open_existing
from storage.errors import StorageError
from storage.files import write_whole

RELOAD_SECONDS = 30
NOT_DRAWN = "could not be drawn"
logger = logging.getLogger(__name__)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def write_report(storage: RDBStorage, name: str, path: Path, is_running: bool = False) -> None:
    """Writes the page atomically, so that an open browser tab never loads half of it.

    Args:
        storage: of the studies.
        name: of the sweep.
        path: of the page.
        is_running: whether there will be another one, which an open tab is to load by itself.

    Raises:
        StorageError: no such study.
    """
    evidence = read_evidence(storage, name)
    sections = [_drawn(build, evidence) for build in SECTIONS]
    write_whole(path, render(f"Ablation report: {evidence.name}", sections, RELOAD_SECONDS if is_running else None))


def _drawn(build: Builder, evidence: Evidence) -> Section:
    """One that fails says so in its place, and the others are there all the same."""
    try:
        return build(evidence)
    except Exception as error:
        logger.exception("a section of the report could not be drawn")
        name = build.__module__.rpartition(".")[2]
        offence = f"This part {NOT_DRAWN}: {type(error).__name__}: {error}. The log has where it failed."
        return Section(name, name.capitalize(), "", (paragraph(offence),))


@app.command()
def ablation(
    name: SweepName,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    out: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="HTML file; beside --json. (default: <runs>/<NAME>/report.html)", show_default=False
        ),
    ] = None,
    json: Json = None,
) -> None:
    """Write the ablation report of a study as one HTML file that needs no network."""
    page = (out or runs / name / "report.html") if json is None else out
    try:
        opened = open_existing(store_of(storage, runs))
        if page is not None:
            write_report(opened, name, page)
        if json is not None:
            write_json(as_json(read_evidence(opened, name)), json)
    except StorageError as error:
        raise refused(error) from None
    for path in (page, json):
        if path not in (None, STANDARD_OUTPUT):
            typer.echo(path, err=json == STANDARD_OUTPUT)


if __name__ == "__main__":
    start(app)
