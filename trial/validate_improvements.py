"""`python -m trial.validate_improvements [PANEL]`: the predecessor's improvements, stage by stage, as arms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from data.errors import DataError
from reports.console import open_console, refused, start
from reports.evidence import read_evidence
from reports.judged import judge
from reports.rollout import HEADINGS, Row, rollout_page, rollout_rows
from search_spaces.errors import SpaceError
from search_spaces.rollout import SPACE
from storage.database import open_existing
from storage.errors import StorageError
from storage.files import write_whole
from trial import sweep_options as option
from trial.request import SweepRequest
from trial.resources import ClusterError
from trial.run import run_sweep

INTERRUPTED = 130
PAGE = "improvements.html"
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command()
def validate_improvements(
    panel: Annotated[
        Path | None,
        typer.Argument(help="Panel, as trial.sweep --data takes it. (default: a synthetic market)", show_default=False),
    ] = None,
    data_config: option.DataConfigFile = None,
    name: Annotated[str, typer.Option(help="Name of the sweep.")] = SPACE.name,
    arms: option.Arms = None,
    epochs: option.Epochs = None,
    draws: option.Draws = None,
    seeds: option.Seeds = None,
    runs: option.Runs = Path("runs"),
    storage: option.Storage = None,
) -> None:
    """Confirm baseline, stages 1 to 3, everything together, and each improvement alone; hold them against what was
    promised: RankIC, divergence, memory, time.

    It is the confirm stage of the space 'rollout', which trial.sweep runs too; started again, it goes on.
    """
    console = open_console()
    request = SweepRequest(
        space=SPACE,
        panel=panel,
        data_config=data_config,
        runs=runs,
        storage=storage,
        name=name,
        stages=("confirm",),
        epochs=epochs,
        seeds=seeds,
        arms=tuple(arms.replace(" ", "").split(",")) if arms is not None else None,
        draws=draws,
    )
    try:
        outcome = run_sweep(request, console)
        if outcome.stopped:
            console.print(f"stopped    {outcome.stopped}; the same command goes on", soft_wrap=True)
            raise typer.Exit(INTERRUPTED)
        evidence = read_evidence(open_existing(request.storage_url), name)
        rows = rollout_rows(evidence)
        judged = judge(evidence.confirm)
        page = _write(outcome.report.with_name(PAGE), name, rows, 0 if isinstance(judged, str) else judged.horizon)
    except (SpaceError, DataError, StorageError, ClusterError) as error:
        raise refused(error) from None
    _say(rows, console)
    console.print(f"page       {page}", soft_wrap=True)
    console.print(f"report     {outcome.report}", soft_wrap=True)


def _write(path: Path, name: str, rows: list[Row], horizon: int) -> Path:
    """Atomic; raises DataError where it cannot be written."""
    try:
        write_whole(path, rollout_page(name, rows, horizon))
    except OSError as error:
        raise DataError(f"the page needs a folder that can be written, but {path} is none: {error}") from error
    return path


def _say(rows: list[Row], console: Console) -> None:
    table = Table(box=None, title="arm minus baseline; aims of the documents", title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading)
    for row in rows:
        table.add_row(*row.cells)
    console.print(table)


if __name__ == "__main__":
    start(app)
