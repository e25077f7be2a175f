"""`python -m trial.status [NAME]`: who runs a study, how far it is, what fails; from any host that sees the store."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from optuna.storages import RDBStorage
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from data.findings import counted
from reports.console import open_console, refused, start
from storage.database import away_in_words, open_existing
from storage.errors import StorageError
from storage.lease import Holder, holder_of
from storage.names import sweep_of
from storage.record import TrialRecord, best_complete, read_records, stages_of, study_names
from trial.options import Runs, Storage, url_of

REFRESH_SECONDS = 2.0
STATES = ("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING")
SHOWN_FAILURES, SENTENCE_LENGTH = 3, 110
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command()
def status(
    name: Annotated[
        str | None,
        typer.Argument(help="Study, such as gat_ablation; its confirm study goes with it. (default: a line per sweep)"),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Refresh every 2 s until Ctrl-C, or until nobody runs it.")
    ] = False,
    runs: Runs = None,
    storage: Storage = None,
) -> None:
    """Show who runs a study, how many trials stand where, what runs now, the best, and the latest failures."""
    console = open_console()
    name = sweep_of(name) if name else None
    try:
        with away_in_words():
            opened = open_existing(url_of(storage, runs))
            console.print(_picture(opened, name)) if not watch else _watch(opened, name, console)
    except StorageError as error:
        raise refused(error) from None


def look(storage: RDBStorage, name: str) -> Group:
    """One picture of the study and its confirm study.

    Raises:
        StorageError: neither exists.
    """
    studies = stages_of(storage, name)
    parts: list[Text | Table] = [Text(_driver(name, holder_of(storage.engine, name)))]
    for study in studies:
        parts += _study(study, read_records(storage, study))
    return Group(*parts)


def look_over(storage: RDBStorage) -> Table | Text:
    """A line per sweep of the store: how many trials of its search stand where, the best, who runs it."""
    sweeps = _sweeps(storage)
    if not sweeps:
        return Text("no sweep in this store yet; next: python -m trial.sweep gat_ablation")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("sweep", "stages", "trials", "best of the search", "driver"):
        table.add_column(heading)
    for sweep in sweeps:
        stages = stages_of(storage, sweep)
        records = {study: read_records(storage, study) for study in stages}
        best = best_complete(records.get(sweep, []))
        table.add_row(
            sweep,
            ", ".join(study.removeprefix(sweep).removeprefix(".") or "search" for study in stages),
            _counts([record for each in records.values() for record in each]),
            f"{best.value:+.4f}" if best else "",
            _driver(sweep, holder_of(storage.engine, sweep)).removeprefix(f"{sweep}: "),
        )
    return table


def _sweeps(storage: RDBStorage) -> list[str]:
    return sorted({sweep_of(study) for study in study_names(storage)})


def _picture(storage: RDBStorage, name: str | None) -> RenderableType:
    return look(storage, name) if name else look_over(storage)


def _watch(storage: RDBStorage, name: str | None, console: Console) -> None:
    with Live(console=console, auto_refresh=False) as live:
        try:
            while True:
                live.update(_picture(storage, name), refresh=True)
                holders = [holder_of(storage.engine, sweep) for sweep in ([name] if name else _sweeps(storage))]
                if not any(holder and holder.lives for holder in holders):
                    return
                time.sleep(REFRESH_SECONDS)
        except KeyboardInterrupt:
            return


def _driver(name: str, holder: Holder | None) -> str:
    if holder is None:
        return f"{name}: nobody runs it"
    if not holder.lives:
        return f"{name}: its driver, process {holder.pid} on {holder.host}, died; the same sweep command goes on"
    return f"{name}: run by process {holder.pid} on {holder.host} for {holder.seconds / 60:.0f} min"


def _counts(records: list[TrialRecord]) -> str:
    counts = {state: sum(record.state == state for record in records) for state in STATES}
    return ", ".join(f"{n} {state}" for state, n in counts.items() if n) or "no trial yet"


def _study(study: str, records: list[TrialRecord]) -> list[Text | Table]:
    told = _counts(records)
    best = best_complete(records)
    parts: list[Text | Table] = [Text(f"{study}: {counted(len(records), 'trial')}: {told}")]
    if best is not None and sweep_of(study) == study:  # the largest of other stages' cells means nothing
        parts.append(Text(f"  best trial {best.number}, RankIC {best.value:+.4f}"))
    if running := [record for record in records if record.state == "RUNNING"]:
        parts.append(_running(running))
        if any(not record.curve for record in running):
            parts.append(Text("  without an epoch: in the first one, or asked for and waiting for a place"))
    failed = [record for record in records if record.state == "FAIL"]
    for record in failed[-SHOWN_FAILURES:]:
        sentence = str(record.attributes.get("sentence", "")).partition("\n")[0][:SENTENCE_LENGTH]
        parts.append(Text(f"  trial {record.number} FAIL ({record.reason}): {sentence}"))
    return parts


def _running(records: list[TrialRecord]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2))
    for heading in ("running", "epoch", "RankIC", "attempt"):
        table.add_column(heading, justify="right")
    for record in records:
        epochs = (record.config or {}).get("train", {}).get("epochs", "?")
        last = f"{record.curve[-1]['value']:+.4f}" if record.curve else ""
        table.add_row(
            str(record.number), f"{len(record.curve)}/{epochs}", last, str(record.attributes.get("attempts", ""))
        )
    return table


if __name__ == "__main__":
    start(app)
