"""`python -m reports.ablation NAME`: the report of a study and its confirm study, from the store alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from optuna.storages import RDBStorage

from reports.evidence import read_evidence
from reports.page import render
from reports.sections import SECTIONS
from storage.database import open_existing
from storage.errors import StorageError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def write_report(storage: RDBStorage, name: str, path: Path) -> None:
    """Writes the page atomically, so that an open browser tab never loads half of it.

    Raises:
        StorageError: no such study.
    """
    evidence = read_evidence(storage, name)
    page = render(f"Ablation report: {evidence.name}", [build(evidence) for build in SECTIONS])
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    scratch.write_text(page, encoding="utf-8")
    os.replace(scratch, path)


@app.command()
def ablation(
    name: Annotated[str, typer.Argument(help="Study, for example gat_ablation.")],
    runs: Annotated[Path, typer.Option(help="Folder of the sweep.")] = Path("runs"),
    storage: Annotated[
        str | None,
        typer.Option(help="Database of the studies. (default: sqlite:///<runs>/sweeps.db)", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="HTML file. (default: <runs>/<NAME>/report.html)", show_default=False)
    ] = None,
) -> None:
    """Write the ablation report of a study as one HTML file that needs no network."""
    path = out or runs / name / "report.html"
    try:
        write_report(open_existing(storage or f"sqlite:///{runs}/sweeps.db"), name, path)
    except StorageError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(path)


if __name__ == "__main__":
    app()
