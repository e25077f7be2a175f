"""`python -m trial.reproduce STUDY TRIAL`: runs a finished trial again from the store alone, and compares."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from optuna.storages import RDBStorage
from rich.console import Console

from data.errors import DataError
from data.store import MarketStore
from reports.console import open_console, refused, start
from search_spaces.config import TrialConfig, validated
from search_spaces.errors import SpaceError
from storage.database import open_existing
from storage.errors import StorageError
from storage.provenance import read_provenance
from storage.record import TrialRecord, read_records
from trial.facts import whole_provenance
from trial.interrupt import Interruption
from trial.machine import Machine
from trial.market import market_of
from trial.options import Runs, Storage, StudyName, folder_of, url_of
from trial.order import TrialOrder
from trial.session import run_attempt

DIFFERS = 1
COMPARED = ("value", "losses", "metrics", "daily_rank_ic")
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Comparison:
    """One number of one epoch, then and now."""

    epoch: int
    name: str
    then: float | None
    now: float | None

    @property
    def distance(self) -> float:
        """Infinite where one of them is not defined."""
        return math.inf if self.then is None or self.now is None else abs(self.then - self.now)


@app.command()
def reproduce(
    study: StudyName,
    trial: Annotated[int, typer.Argument(min=0, help="Number of a finished trial.")],
    runs: Runs = None,
    storage: Storage = None,
    data: Annotated[
        Path | None,
        typer.Option(help="The panel, where the prepared market is gone. (default: where it was)", show_default=False),
    ] = None,
) -> None:
    """Train a finished trial again from what the store knows of it, and compare every epoch.

    Exit status: 0 every number is the same, 1 some differ, 2 refused before anything started.
    """
    console = open_console()
    try:
        opened = open_existing(url_of(storage, runs))
        record = _finished(opened, study, trial)
        config, machine = validated(record.config), _machine(record)
        market = market_of(opened, study, record, config, folder_of(runs), data, console)
        for sentence in _changed(opened, record):
            console.print(f"changed    {sentence}")
    except (SpaceError, DataError, StorageError) as error:
        raise refused(error) from None
    differing, compared = _run(study, record, config, machine, market, console)
    if not differing:
        console.print(f"equal      {compared} numbers of {len(record.curve)} epochs, bit for bit")
        return
    for each in sorted(differing, key=lambda one: -one.distance)[:10]:
        console.print(f"differs    epoch {each.epoch}, {each.name}: {each.then} then, {each.now} now")
    console.print(f"differ     {len(differing)} of {compared} numbers")
    raise typer.Exit(DIFFERS)


def compare(then: dict[str, Any], now: dict[str, Any]) -> list[Comparison]:
    """Every number of an epoch that a clock does not decide, then and now."""
    found: list[Comparison] = []
    for name in COMPARED:
        before, after = _flat(name, then[name]), _flat(name, now[name])
        found += [Comparison(then["epoch"], key, before.get(key), after.get(key)) for key in before | after]
    return found


def _flat(name: str, value: Any) -> dict[str, float | None]:
    if isinstance(value, dict):
        parts = (_flat(f"{name}/{inner}", content) for inner, content in value.items())
        return {key: number for part in parts for key, number in part.items()}
    if isinstance(value, list):
        return {f"{name}/{place}": number for place, number in enumerate(value)}
    return {name: value}


def _run(
    study: str, record: TrialRecord, config: TrialConfig, machine: Machine, market: MarketStore, console: Console
) -> tuple[list[Comparison], int]:
    """Trains in a folder that goes away, and compares epoch by epoch."""
    torch.set_num_threads(machine.threads)
    differing: list[Comparison] = []
    compared = 0
    with tempfile.TemporaryDirectory() as scratch, Interruption() as interruption:
        order = TrialOrder(
            study=study,
            number=record.number,
            attempt=0,
            folder=Path(scratch),
            resume_from=None,
            known_epochs=0,
            store=market.folder,
            machine=machine,
            config=config,
        )
        results = run_attempt(order, interruption)
        for then, result in zip(record.curve, results, strict=False):
            comparisons = compare(then, result.to_dict())
            differing += [each for each in comparisons if each.then != each.now]
            compared += len(comparisons)
            console.print(f"epoch {result.epoch:>3}    RankIC {then['value']:+.6f} then, {result.value:+.6f} now")
        results.close()
    return differing, compared


def _finished(storage: RDBStorage, study: str, number: int) -> TrialRecord:
    """Raises StorageError where there is no such trial, or it has no epoch to compare."""
    records = {record.number: record for record in read_records(storage, study)}
    if number not in records:
        raise StorageError(f"a trial of {study!r} must be one of 0 to {len(records) - 1}, got {number}.")
    record = records[number]
    if record.state not in ("COMPLETE", "PRUNED") or not record.curve:
        raise StorageError(
            f"a trial must have finished an epoch to be reproduced, but {number} of {study!r} is {record.state} with "
            f"{len(record.curve)} epochs."
        )
    return record


def _machine(record: TrialRecord) -> Machine:
    """As it was, without what only tells others; the number of threads moves the last digits."""
    then = Machine.model_validate(record.attributes["machine"])
    silent = {"tensorboard": False, "wandb": False, "profile_steps": 0, "log_level": "WARNING", "memory_mib": None}
    if then.device.startswith("cuda") and not torch.cuda.is_available():
        raise SpaceError("the trial was trained on a GPU, but this machine has none that torch can use.")
    return then.model_copy(update=silent)


def _changed(storage: RDBStorage, record: TrialRecord) -> list[str]:
    """What is not as it was: code, packages, machine; and what makes equality impossible."""
    then, now = read_provenance(storage.engine, str(record.attributes["provenance"])), whole_provenance()
    found = [f"{name}: {then[name]} then, {now[name]} now" for name in ("code", "python") if then[name] != now[name]]
    for name in ("torch", "torch-geometric", "numpy"):
        before, after = then["packages"].get(name), now["packages"].get(name)
        if before != after:
            found.append(f"{name}: {before} then, {after} now")
    if then["hardware"] != now["hardware"]:
        found.append("the machine is another one")
    if record.attributes.get("oom_events"):
        found.append("memory ran out in some step, whose dropout then drew other numbers")
    if not (record.config or {}).get("train", {}).get("deterministic", False):
        found.append("train.deterministic was off")
    return found


if __name__ == "__main__":
    start(app)
