"""`python -m trial.predict BUNDLE PANEL`: scores per stock and horizon, for one day or for any number of them."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import typer
from rich.console import Console

from data.errors import DataError
from data.findings import counted
from data.progress import Shown
from data.store import MarketStore
from reports.console import open_console, refused, start
from storage.errors import StorageError
from storage.files import aside
from trial.options import Runs, Storage, folder_of
from trial.production.bundle import Bundle
from trial.production.champion import open_bundle
from trial.production.days import LAST, days_of
from trial.production.last_days import refuse_strange_day
from trial.production.networks import Networks
from trial.production.panel import open_panel
from trial.production.scoring import Scorer, scores_table

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
AnyBundle = Annotated[
    Path, typer.Argument(help="Folder that trial.export wrote, or champion:NAME.", show_default=False)
]
PanelPath = Annotated[
    Path, typer.Argument(help="Parquet file, folder or hive tree, with the days before.", show_default=False)
]
Weights = Annotated[
    str | None,
    typer.Option(help="Set of the bundle's weights. (default: the one that learned last)", show_default=False),
]


@app.command()
def predict(
    bundle: AnyBundle,
    panel: PanelPath,
    date: Annotated[str, typer.Option(help="Day such as 2024-01-31, FROM..TO, all, or last.")] = LAST,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write, .parquet or .csv. (default: CSV to standard output)", show_default=False),
    ] = None,
    weights: Weights = None,
    runs: Runs = None,
    storage: Storage = None,
) -> None:
    """Score every stock of the universe on the last day of a panel, or on the days asked.

    Refused, before anything is scored: an altered bundle, other columns, a damaged panel, too little history.
    """
    console = open_console() if out is not None else _on_standard_error()
    try:
        _refuse_kind(out)
        began = time.perf_counter()
        found = open_bundle(bundle, weights, runs, storage)
        store = open_panel(found.networks, panel, folder_of(runs) / "prepared", console)
        scorer = Scorer(found.networks, store)
        days = days_of(date, store, scorer.first_day)
        refuse_strange_day(found.networks, store, days.stop - 1, None, console)
        _doubt_learned_days(found.networks, store, days, console)
        _doubt_short_history(found.networks, store, days, console)
        ready = time.perf_counter()
        rows = _write(scorer, days, out, console)
    except (DataError, StorageError) as error:
        raise refused(error) from None
    _say(found, store, days, rows, ready - began, time.perf_counter() - ready, out, console)


def _refuse_kind(out: Path | None) -> None:
    if out is not None and out.suffix not in (".parquet", ".csv"):
        raise DataError(f"scores go to a .parquet or a .csv file, but --out is {out}. Choose one of them.")


def _doubt_short_history(networks: Networks, store: MarketStore, days: range, console: Console) -> None:
    """Of a panel that begins later than the one that was learned from."""
    needed = networks.history_needed
    if days.start < needed and store.dates[0] > networks.fingerprint.first_date:
        console.print(
            f"doubt      {store.dates[days.start]} has {days.start} days of history, and features and edges look back "
            f"up to {needed}: the scores may differ from those that a longer panel would give"
        )


def _doubt_learned_days(networks: Networks, store: MarketStore, days: range, console: Console) -> None:
    """Scores of days that a network learned from say nothing of what it can do."""
    learned = int(np.searchsorted(store.dates, np.datetime64(networks.trained_through), side="right")) - days.start
    if learned > 0:
        console.print(
            f"doubt      {min(learned, len(days)):,} of the {counted(len(days), 'day')} were learned from, through "
            f"{networks.trained_through}: their scores are no evidence of skill"
        )


def _write(scorer: Scorer, days: range, out: Path | None, console: Console) -> int:
    """Streams day by day; a file appears when it is whole. Returns the number of rows."""
    rows = 0
    horizons = scorer.networks.horizons
    with _sink(out) as write, Shown(console).rows("scoring days", len(days)) as tick:
        for scores in scorer.score(days):
            table = scores_table(scores, scorer.store, horizons)
            write(table)
            rows += table.num_rows
            tick(1)
    return rows


@contextmanager
def _sink(out: Path | None) -> Iterator:
    """Takes tables."""
    if out is None:
        yield _CSV(sys.stdout).write
        return
    scratch = aside(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix == ".csv":
            with scratch.open("w") as stream:
                yield _CSV(stream).write
        else:
            sink = _Parquet(scratch)
            yield sink.write
            sink.close()
        os.replace(scratch, out)
    except OSError as error:
        raise DataError(f"scores need a file that can be written, but {out} is none: {error}") from error
    finally:
        scratch.unlink(missing_ok=True)


class _CSV:
    def __init__(self, stream: TextIO) -> None:
        self._stream, self._has_heading = stream, False

    def write(self, table: pa.Table) -> None:
        text = table.to_pandas().to_csv(index=False, header=not self._has_heading, float_format="%.9g")
        self._stream.write(text)
        self._has_heading = True


class _Parquet:
    """A row group per day."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _on_standard_error() -> Console:
    """What is said stays out of what is piped."""
    return Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


def _say(
    bundle: Bundle,
    store: MarketStore,
    days: range,
    rows: int,
    preparing: float,
    scoring: float,
    out: Path | None,
    console: Console,
) -> None:
    stretch = f"{store.dates[days.start]}" + (f" .. {store.dates[days.stop - 1]}" if len(days) > 1 else "")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(f"bundle     {bundle}, weights {bundle.networks.name}")
    console.print(
        f"scored     {rows:,} rows: {counted(len(days), 'day')} {stretch}, horizons {bundle.networks.horizons}"
    )
    console.print(
        f"took       {preparing:.1f} s to read and prepare, {scoring:.2f} s to score "
        f"({scoring / len(days) * 1000:.0f} ms a day); {memory:.0f} MiB at most"
    )
    if out is not None:
        console.print(f"scores     {out}", soft_wrap=True)


if __name__ == "__main__":
    start(app)
