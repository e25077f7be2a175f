"""`python -m trial.status NAME`: who runs a study, how far it is, what fails; from any host that reaches the store."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from optuna.storages import RDBStorage
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from data.findings import counted
from reports.console import open_console, refused, start
from storage.database import away_in_words, open_existing
from storage.errors import StorageError
from storage.lease import Holder, holder_of
from storage.names import sweep_of
from storage.record import TrialRecord, best_complete, read_records, stages_of
from trial.options import Runs, Storage, SweepName, url_of

REFRESH_SECONDS = 2.0
STATES = ("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING")
SHOWN_FAILURES, SENTENCE_LENGTH = 3, 110
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command()
def status(
    name: SweepName,
    watch: Annotated[
        bool, typer.Option("--watch", help="Refresh every 2 s until Ctrl-C, or until nobody runs it.")
    ] = False,
    runs: Runs = None,
    storage: Storage = None,
) -> None:
    """Show who runs a study, how many trials stand where, what runs now, the best, and the latest failures."""
    console = open_console()
    name = sweep_of(name)
    try:
        with away_in_words():
            opened = open_existing(url_of(storage, runs))
            console.print(look(opened, name)) if not watch else _watch(opened, name, console)
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


def _watch(storage: RDBStorage, name: str, console: Console) -> None:
    with Live(console=console, auto_refresh=False) as live:
        try:
            while True:
                live.update(look(storage, name), refresh=True)
                holder = holder_of(storage.engine, name)
                if holder is None or not holder.lives:
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


def _study(study: str, records: list[TrialRecord]) -> list[Text | Table]:
    counts = {state: sum(record.state == state for record in records) for state in STATES}
    told = ", ".join(f"{n} {state}" for state, n in counts.items() if n) or "no trial yet"
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
