"""`python -m trial.trials NAME`: a study's trials as a table, sorted, or as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from data.findings import counted
from reports.console import open_console, refused, start
from search_spaces.errors import SpaceError
from storage.database import away_in_words, open_existing
from storage.errors import StorageError
from storage.files import write_whole
from storage.record import BROKEN, COLUMNS, OTHERS, TrialRecord, read_records, to_frame
from trial.live import in_a_line
from trial.options import Runs, Storage, StudyName, url_of

BEST_FIRST = "value"
NUMBERS = ("number", "value", "epochs", "seed")
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command()
def trials(
    name: StudyName,
    sort: Annotated[str, typer.Option(help="Column; 'value' puts the best first, others the least.")] = "number",
    csv: Annotated[
        Path | None, typer.Option(help="Write every column to this file instead; - is standard output.")
    ] = None,
    runs: Runs = None,
    storage: Storage = None,
) -> None:
    """List a study's trials: state, value, reason, epochs, arm, seed, fold and what was sampled."""
    console = open_console()
    try:
        with away_in_words():
            records = read_records(open_existing(url_of(storage, runs)), name)
        ordered = _sorted(records, sort)
    except (SpaceError, StorageError) as error:
        raise refused(error) from None
    if csv is None:
        _print(ordered, name, console)
        return
    try:
        _write(to_frame(ordered), csv)
    except OSError as error:
        raise refused(SpaceError(f"--csv must name a file that can be written, but {csv} is not: {error}.")) from None


def _sorted(records: list[TrialRecord], column: str) -> list[TrialRecord]:
    """Trials without a value come last, whatever the order."""
    frame = to_frame(records)
    if column not in frame.columns:
        raise SpaceError(f"--sort must be one of {', '.join(frame.columns)}, got {column!r}.")
    order = frame.sort_values(column, ascending=column != BEST_FIRST, na_position="last", kind="stable").index
    return [records[place] for place in order]


def _print(records: list[TrialRecord], name: str, console: Console) -> None:
    """Columns that say something, and what was sampled in a line."""
    frame = to_frame(records)
    more = [column for column in frame.columns if column.startswith((OTHERS, BROKEN))]
    shown = [column for column in (*COLUMNS, *more) if frame[column].notna().any()]
    table = Table(box=None, title=f"{name}: {counted(len(records), 'trial')}", title_justify="left")
    for column in shown:
        table.add_column(column, justify="right" if column in NUMBERS else "left", no_wrap=True)
    table.add_column("what", no_wrap=console.is_terminal, overflow="ellipsis")
    for record, row in zip(records, frame[shown].itertuples(index=False), strict=True):
        cells = [_cell(column, value) for column, value in zip(shown, row, strict=True)]
        table.add_row(*cells, in_a_line(record.params))
    console.print(table)


def _cell(column: str, value: Any) -> str:
    if pd.isna(value):
        return ""
    if column == "value":
        return f"{value:+.4f}"
    if column.startswith((OTHERS, BROKEN)):
        return f"{value:.4g}"
    return str(int(value)) if column in NUMBERS else str(value)


def _write(frame: pd.DataFrame, path: Path) -> None:
    text = frame.to_csv(index=False)
    if str(path) == "-":
        print(text, end="")
        return
    write_whole(path, text)


if __name__ == "__main__":
    start(app)
