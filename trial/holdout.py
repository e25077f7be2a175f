"""`python -m trial.holdout NAME`: the one read of the hold-out, for the winner that the confirm folds speak for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from optuna.storages import RDBStorage
from rich.console import Console

from data.errors import DataError
from data.findings import counted
from reports.ablation import write_report
from reports.console import open_console, refused, start
from reports.deployment import decide
from reports.evidence import read_evidence
from reports.section import in_days, with_interval
from search_spaces.errors import SpaceError
from storage.database import away_in_words, open_existing, open_storage
from storage.drain import Drain
from storage.errors import StorageError
from storage.lease import take_lease
from storage.names import HOLDOUT, sweep_of
from trial import sweep_options as option
from trial.cluster import cluster
from trial.holdout_once import HoldoutRead, note_read
from trial.holdout_read import hold_out_stage, plan_read, whole_market
from trial.options import Runs, Storage, SweepName, folder_of
from trial.request import SweepRequest
from trial.resources import ClusterError, Resources, check_cluster, parse_memory
from trial.run import keep_references, run_to_target
from trial.settings import read_settings
from trial.stopping import StopRequest, stopping_on_signals

INTERRUPTED = 130
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)

Data = Annotated[
    Path | None, typer.Option(help="The sweep's panel. (default: where the sweep found it)", show_default=False)
]
Burn = Annotated[
    bool,
    typer.Option(
        "--burn-holdout",
        help="Read it although it was read before, or although the answer cannot become yes. Counted for ever.",
    ),
]


@app.command()
def holdout(
    name: SweepName,
    runs: Runs = None,
    storage: Storage = None,
    data: Data = None,
    burn_holdout: Burn = False,
    cpus_per_trial: option.CPUsPerTrial = 1.0,
    gpus_per_trial: option.GPUsPerTrial = 0.0,
    memory_per_trial: option.MemoryPerTrial = None,
    concurrent: option.Concurrent = None,
    address: option.Address = None,
) -> None:
    """Train the winner up to the hold-out, score it there once, beside simple predictors, and decide.

    The read is written down before anything is read, so that a crash counts; the same command then goes on with the
    same read. A second one (another winner, more seeds, more days) and one of days that another sweep scored need
    --burn-holdout, and every report of this market tells it.
    """
    console = open_console()
    try:
        request = SweepRequest(
            space=sweep_of(name),
            panel=data,
            runs=folder_of(runs),
            storage=storage,
            resources=Resources(cpus_per_trial, gpus_per_trial, parse_memory(memory_per_trial)),
            concurrent=concurrent,
            address=address,
        )
        check_cluster(address, request.resources)
        open_existing(request.storage_url).engine.dispose()  # says so where there is none
        stopped = _read(request, burn_holdout, console)
    except (SpaceError, DataError, StorageError, ClusterError) as error:
        raise refused(error) from None
    if stopped is not None:
        console.print(f"{stopped}: the same command goes on with the same read")
        raise typer.Exit(INTERRUPTED)


@away_in_words()
def _read(request: SweepRequest, burn: bool, console: Console) -> str | None:
    """Why it stopped early; None: it did not."""
    storage = open_storage(request.storage_url)
    sweep = sweep_of(str(request.space))
    lease, drain = take_lease(storage.engine, sweep, False), Drain(storage.engine, sweep)
    stop = StopRequest(None)
    try:
        read = plan_read(storage, request, burn, console)
        note_read(storage, read, console)
        read = whole_market(read, request, console)
        with cluster(request.address, request.resources, read_settings()), stopping_on_signals(stop):
            stage = hold_out_stage(storage, read, request, lease, stop, console)
            run_to_target(stage, request, read.config.train.epochs, lease, drain, stop, console)
            if stop.reason is None:
                keep_references(storage, f"{sweep}{HOLDOUT}", read.config, read.market, stop, console)
        _tell(storage, read, request, console)
        return stop.reason
    finally:
        lease.release()
        storage.engine.dispose()


def _tell(storage: RDBStorage, read: HoldoutRead, request: SweepRequest, console: Console) -> None:
    """What came out, and the answer."""
    found = decide(read_evidence(storage, read.sweep))
    report = request.runs / read.sweep / "report.html"
    write_report(storage, read.sweep, report)
    standing = found.winner.holdout if found.winner is not None else None
    if standing is not None and found.winner is not None:
        console.print(
            f"hold-out: {counted(standing.level.num_days, 'day')}, {counted(standing.level.num_seeds, 'seed')}, RankIC "
            f"at {in_days(found.winner.horizon)} {with_interval(standing.level)}"
        )
        for name, less in standing.less.items():
            console.print(f"hold-out: minus {name} {with_interval(less)}")
    console.print(f"deploy: {found.decision}, because {found.why}", markup=False)
    console.print(f"report: {report}", soft_wrap=True)


if __name__ == "__main__":
    start(app)
