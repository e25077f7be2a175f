"""`python -m trial.sweep NAME`: the main job, from a panel to studies, report and best configuration."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from data.errors import DataError
from search_spaces import SPACES
from search_spaces.errors import SpaceError
from search_spaces.objectives import OBJECTIVES
from storage.errors import StorageError
from trial.console import open_console, refused
from trial.duration import parse_duration
from trial.request import SamplerName, SchedulerName, SweepRequest, prepare_sweep
from trial.resources import ClusterError, Resources, parse_memory
from trial.run import SweepOutcome, run_sweep
from trial.sweep_view import print_outcome, print_plan, print_probes, print_spaces

NO_RESULT, INTERRUPTED = 1, 130
BUDGETS, SEARCH, PLACEMENT = "Budgets", "Search", "Placement"
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


class StageName(StrEnum):
    search = "search"
    confirm = "confirm"
    both = "both"


@app.command()
def sweep(
    name: Annotated[
        str | None,
        typer.Argument(help="Search space, or a Python file that defines one; --list shows them.", show_default=False),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Panel: Parquet file, folder or hive tree, of OHLCV or of your own features and targets. "
            "(default: a synthetic market that is generated once)",
            show_default=False,
        ),
    ] = None,
    data_config: Annotated[
        Path | None,
        typer.Option(
            help="YAML of the data settings: columns, universe, labels, splits. (default: the space's)",
            show_default=False,
        ),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of everything that a sweep writes.")] = Path("runs"),
    storage: Annotated[
        str | None,
        typer.Option(
            help="Database of the studies: sqlite:///FILE, postgresql://USER@HOST/DB, or env:NAME for a URL with a "
            "password, kept in that variable. (default: sqlite:///<runs>/sweeps.db)",
            show_default=False,
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option("--name", help="Name of the study. (default: the space's)", show_default=False),
    ] = None,
    stage: Annotated[StageName, typer.Option(help="Search, confirm the arms, or both in turn.")] = StageName.both,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Finished search trials to reach, in any state. (default: the space's)",
            show_default=False,
            rich_help_panel=BUDGETS,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Epochs of a full trial. (default: the space's)", show_default=False, rich_help_panel=BUDGETS
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Seeds per confirm arm and fold. (default: the space's)",
            show_default=False,
            rich_help_panel=BUDGETS,
        ),
    ] = None,
    time_budget: Annotated[
        str | None,
        typer.Option(
            help="Stop cleanly after this long: 90s, 30m, 2h, 1d; trials under way leave after their step and go on at "
            "the next start. (default: no limit)",
            show_default=False,
            rich_help_panel=BUDGETS,
        ),
    ] = None,
    drain: Annotated[
        str | None,
        typer.Option(
            help="Start no trial in the last so long of the time budget, so that those under way can end. "
            "(default: 0s)",
            show_default=False,
            rich_help_panel=BUDGETS,
        ),
    ] = None,
    gpu_hours: Annotated[
        float | None,
        typer.Option(
            help="Start no trial once so many GPU-hours are used by both stages. (default: no limit)",
            show_default=False,
            rich_help_panel=BUDGETS,
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="End the search once so many trials in a row brought nothing better. (default: never)",
            show_default=False,
            rich_help_panel=BUDGETS,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the sampler and of the search trials.", rich_help_panel=SEARCH)
    ] = 0,
    sampler: Annotated[
        SamplerName,
        typer.Option(help="Draws: TPE, random, or quasi-random (scrambled Sobol).", rich_help_panel=SEARCH),
    ] = "tpe",
    scheduler: Annotated[
        SchedulerName | None,
        typer.Option(
            help="Early stopping of the search. (default: the space's)", show_default=False, rich_help_panel=SEARCH
        ),
    ] = None,
    objectives: Annotated[
        str | None,
        typer.Option(
            help=f"Comma between: {', '.join(OBJECTIVES)}. Early stopping and the report go by the first, rank_ic. "
            "(default: the space's)",
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            help="Bound on one of them, such as turnover<=0.3 or memory<=2000 (MiB); may be repeated. "
            "(default: the space's)",
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    warm_start: Annotated[
        list[str] | None,
        typer.Option(
            help="Study whose five best are tried first; may be repeated. (default: none)",
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic",
            help="Ask --concurrent trials (default 1), wait for all, ask again: equal seeds give equal studies.",
            rich_help_panel=SEARCH,
        ),
    ] = False,
    cpus_per_trial: Annotated[
        float, typer.Option(min=0.01, help="CPUs that one trial takes.", rich_help_panel=PLACEMENT)
    ] = 1.0,
    gpus_per_trial: Annotated[
        float,
        typer.Option(min=0.0, help="GPUs that one trial takes: a whole number, or 1/k.", rich_help_panel=PLACEMENT),
    ] = 0.0,
    memory_per_trial: Annotated[
        str | None,
        typer.Option(
            help="Memory that one trial is placed by: MiB, or 'auto' for what two small steps of its network predict. "
            "(default: not looked at)",
            show_default=False,
            rich_help_panel=PLACEMENT,
        ),
    ] = None,
    concurrent: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Trials at once, at most. (default: as many as fit)",
            show_default=False,
            rich_help_panel=PLACEMENT,
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="HOST:PORT of a running Ray cluster, or 'auto'. (default: start Ray here)",
            show_default=False,
            rich_help_panel=PLACEMENT,
        ),
    ] = None,
    join: Annotated[
        bool,
        typer.Option(
            "--join", help="Work on a study beside its living driver (PostgreSQL only).", rich_help_panel=PLACEMENT
        ),
    ] = False,
    accept_changes: Annotated[
        bool,
        typer.Option(
            "--accept-changes",
            help="Go on with a study although its space, market, split or code changed; what changed is kept with it.",
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Check everything, train two probe trials for some steps, show plan, time, memory and disk.",
        ),
    ] = False,
    list_spaces: Annotated[bool, typer.Option("--list", help="Show the search spaces and leave.")] = False,
) -> None:
    """Search a space with TPE and ASHA, confirm its ablation arms on later days, write the report and the best config.

    The same command again goes on where the last one stopped.
    """
    console = open_console()
    if list_spaces:
        print_spaces(console)
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
            drain_seconds=parse_duration(drain) if drain is not None else 0.0,
            gpu_hours=gpu_hours,
            patience=patience,
            seed=seed,
            sampler=sampler,
            scheduler=scheduler,
            objectives=tuple(objectives.replace(" ", "").split(",")) if objectives is not None else None,
            constraints=tuple(constraint) if constraint else None,
            warm_start=tuple(warm_start or ()),
            deterministic=deterministic,
            resources=Resources(cpus_per_trial, gpus_per_trial, parse_memory(memory_per_trial)),
            concurrent=concurrent,
            address=address,
            join=join,
            accept_changes=accept_changes,
        )
        if dry_run:
            dry = prepare_sweep(request, console)
            print_plan(dry, console)
            print_probes(dry, console)
            return
        outcome = run_sweep(request, console)
    except (SpaceError, DataError, StorageError, ClusterError) as error:
        raise refused(error) from None
    print_outcome(outcome, console)
    raise typer.Exit(_status(outcome))


def _status(outcome: SweepOutcome) -> int:
    if outcome.stopped and outcome.stopped.startswith("interrupted"):
        return INTERRUPTED
    return 0 if outcome.stopped or any(c["COMPLETE"] for c in outcome.counts.values()) else NO_RESULT


if __name__ == "__main__":
    app()
