"""`python -m trial.sweep NAME`: the main job, from a panel to studies, report and best configuration."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from data.describe import describe
from data.errors import DataError
from data.findings import counted
from search_spaces import SPACES
from search_spaces.errors import SpaceError
from storage.database import check_url
from storage.errors import StorageError
from trial.console import open_console, refused
from trial.duration import parse_duration
from trial.request import Prepared, SamplerName, SchedulerName, SweepRequest, prepare_sweep
from trial.resources import ClusterError, Resources
from trial.run import SweepOutcome, run_sweep

NO_RESULT, INTERRUPTED = 1, 130
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


class StageName(StrEnum):
    search = "search"
    confirm = "confirm"
    both = "both"


@app.command()
def sweep(
    name: Annotated[str | None, typer.Argument(help="Search space; --list shows them.", show_default=False)] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Panel: Parquet file, folder or hive tree, of OHLCV or of your own features and targets. "
            "Without it, a synthetic market that is generated once.",
            show_default=False,
        ),
    ] = None,
    data_config: Annotated[
        Path | None,
        typer.Option(help="YAML of the data settings: columns, universe, labels, splits.", show_default=False),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of everything that a sweep writes.")] = Path("runs"),
    storage: Annotated[
        str | None,
        typer.Option(help="Database of the studies. (default: sqlite:///<runs>/sweeps.db)", show_default=False),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option("--name", help="Name of the study. (default: the space's)", show_default=False),
    ] = None,
    stage: Annotated[StageName, typer.Option(help="Search, confirm the arms, or both in turn.")] = StageName.both,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Finished search trials to reach. (default: the space's)", show_default=False),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Epochs of a full trial. (default: the space's)", show_default=False),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="Seeds per confirm arm and fold. (default: the space's)", show_default=False),
    ] = None,
    time_budget: Annotated[
        str | None,
        typer.Option(help="Stop cleanly after this long: 90s, 30m, 2h, 1d. (default: no limit)", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sampler and of the search trials.")] = 0,
    sampler: Annotated[
        SamplerName, typer.Option(help="Draws of the search: TPE, random, or quasi-random (scrambled Sobol).")
    ] = "tpe",
    scheduler: Annotated[
        SchedulerName | None,
        typer.Option(help="Early stopping of the search. (default: the space's)", show_default=False),
    ] = None,
    cpus_per_trial: Annotated[float, typer.Option(min=0.01, help="CPUs that one trial takes.")] = 1.0,
    gpus_per_trial: Annotated[float, typer.Option(min=0.0, help="GPUs, or a fraction, that one trial takes.")] = 0.0,
    address: Annotated[
        str | None,
        typer.Option(
            help="HOST:PORT of a running Ray cluster, or 'auto'. (default: start Ray here)",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, show the plan, train nothing.")] = False,
    list_spaces: Annotated[bool, typer.Option("--list", help="Show the search spaces and leave.")] = False,
) -> None:
    """Search a space with TPE and ASHA, confirm its ablation arms on later days, write the report and the best config.

    The same command again goes on where the last one stopped.
    """
    console = open_console()
    if list_spaces:
        _print_spaces(console)
        return
    try:
        if name is None:
            raise SpaceError(f"a sweep needs the name of a space: {', '.join(SPACES)}. See --list and --help.")
        request = SweepRequest(
            space=name,
            panel=data,
            data_config=data_config,
            runs=runs,
            storage=storage,
            name=study,
            stages=("search", "confirm") if stage is StageName.both else (stage.value,),
            trials=trials,
            epochs=epochs,
            seeds=seeds,
            time_budget_seconds=parse_duration(time_budget) if time_budget is not None else None,
            seed=seed,
            sampler=sampler,
            scheduler=scheduler,
            resources=Resources(cpus_per_trial, gpus_per_trial),
            address=address,
        )
        if dry_run:
            _print_plan(prepare_sweep(request, console), console)
            return
        outcome = run_sweep(request, console)
    except (SpaceError, DataError, StorageError, ClusterError) as error:
        raise refused(error) from None
    _print_outcome(outcome, console)
    raise typer.Exit(_status(outcome))


def _status(outcome: SweepOutcome) -> int:
    if outcome.stopped and outcome.stopped.startswith("interrupted"):
        return INTERRUPTED
    return 0 if outcome.stopped or any(c["COMPLETE"] for c in outcome.counts.values()) else NO_RESULT


def _print_spaces(console: Console) -> None:
    table = Table(box=None)
    for heading in ("space", "trials", "epochs", "seeds", "arms", "what"):
        table.add_column(heading)
    for space in SPACES.values():
        budget = space.budget
        table.add_row(
            space.name,
            str(budget.trials),
            str(budget.epochs),
            str(budget.seeds),
            str(len(space.arms)),
            space.summary,
        )
    console.print(table)


def _print_plan(prepared: Prepared, console: Console) -> None:
    """What the sweep would do, by date and number."""
    market, dates = prepared.market.meta, prepared.market.meta.dates
    console.print(
        f"market     {prepared.panel}: {counted(len(market.codes), 'stock')}, {counted(len(dates), 'day')} "
        f"{dates[0]} .. {dates[-1]}"
    )
    for topic, sentence in describe(prepared.market, prepared.base.data).items():
        console.print(f"{topic:10} {sentence}")
    table = Table(box=None)
    for heading in ("fold", "train", "days", "scored", "days "):
        table.add_column(heading, justify="right" if heading.startswith("days") else "left")
    for fold in prepared.splits.folds:
        table.add_row(
            fold.name,
            f"{dates[fold.train[0]]} .. {dates[fold.train[-1]]}",
            str(len(fold.train)),
            f"{dates[fold.score[0]]} .. {dates[fold.score[-1]]}",
            str(len(fold.score)),
        )
    console.print(table)
    epochs, early = prepared.base.train.epochs, prepared.early
    stages = prepared.request.stages
    if "search" in stages:
        cuts = ", ".join(map(str, early.rungs)) if early else ""
        rungs = f"ASHA cuts after epochs {cuts}" if cuts else "no early stopping"
        size = f"{counted(prepared.num_trials, 'trial')} x {counted(epochs, 'epoch')}"
        console.print(f"search     {size}, {prepared.request.sampler}, {rungs}")
    if "confirm" in stages:
        cells = len(prepared.arms) * prepared.num_seeds * len(prepared.splits.confirm)
        console.print(
            f"confirm    {counted(cells, 'trial')}: {counted(len(prepared.arms), 'arm')} ({', '.join(prepared.arms)}) "
            f"x {counted(prepared.num_seeds, 'seed')} x {counted(len(prepared.splits.confirm), 'fold')}"
        )
    console.print("dry run: nothing was trained and no study was written. Leave out --dry-run to start.")


def _print_outcome(outcome: SweepOutcome, console: Console) -> None:
    for study, counts in outcome.counts.items():
        finished = {state: counts[state] for state in ("COMPLETE", "PRUNED", "FAIL")}
        waiting = f", {counts['WAITING']} waiting" if counts["WAITING"] else ""
        text = ", ".join(f"{n} {state}" for state, n in finished.items())
        console.print(f"{study}: {sum(finished.values())} finished: {text}{waiting}")
    if outcome.best is not None:
        metrics = outcome.best.curve[-1]["metrics"]
        by_horizon = ", ".join(
            f"{key.rsplit('/', 1)[1]}d {value:+.4f}" for key, value in metrics.items() if "/rank_ic/" in key
        )
        console.print(f"best       trial {outcome.best.number}: RankIC {outcome.best.value:+.4f} ({by_horizon})")
    elif outcome.study in outcome.counts:
        console.print("best       no search trial is COMPLETE, so there is no best configuration")
    if outcome.rungs:
        told = "; ".join(rung.in_words for rung in outcome.rungs)
        console.print(f"rungs      rank correlation with the final value: {told}", soft_wrap=True)
    console.print(f"store      {outcome.storage_url}")
    console.print(f"report     {outcome.report}")
    if outcome.best_config:
        console.print(f"config     {outcome.best_config}")
    url = check_url(outcome.storage_url).render_as_string(hide_password=True)
    look = f"{_program('optuna-dashboard')} {shlex.quote(url)} --host 127.0.0.1 --port 8080"
    console.print(f"look       {look}", soft_wrap=True)  # a command stays on one line, to be copied
    if outcome.stopped:
        console.print(f"stopped    {outcome.stopped}; nothing is lost. To go on:")
        console.print(f"           {_program('python')} -m trial.sweep {shlex.join(sys.argv[1:])}", soft_wrap=True)


def _program(name: str) -> str:
    """The bare name where the shell finds this environment's program, its path otherwise."""
    own = Path(sys.executable).parent / name
    found = shutil.which(name)
    if found is not None and Path(found).parent.resolve() == own.parent.resolve():
        return name
    return shlex.quote(os.path.relpath(own)) if own.is_relative_to(Path.cwd()) else shlex.quote(str(own))


if __name__ == "__main__":
    app()
