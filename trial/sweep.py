"""`python -m trial.sweep NAME`: the main job, from a panel to studies, report and best configuration."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from data.errors import DataError
from reports.console import open_console, refused, start
from search_spaces import SPACES
from search_spaces.errors import SpaceError
from storage.errors import StorageError
from trial import sweep_options as option
from trial.duration import parse_duration
from trial.request import SweepRequest, prepare_sweep
from trial.resources import ClusterError, Resources, parse_memory
from trial.run import SweepOutcome, refuse_what_the_store_would, run_sweep
from trial.sweep_view import print_outcome, print_plan, print_probes, print_spaces

NO_RESULT, INTERRUPTED = 1, 130
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command()
def sweep(
    name: option.SpaceName = None,
    data: option.Panel = None,
    data_config: option.DataConfigFile = None,
    runs: option.Runs = Path("runs"),
    storage: option.Storage = None,
    study: option.StudyName = None,
    stage: option.Stage = option.StageName.both,
    trials: option.Trials = None,
    epochs: option.Epochs = None,
    seeds: option.Seeds = None,
    arms: option.Arms = None,
    draws: option.Draws = None,
    time_budget: option.TimeBudget = None,
    drain: option.Drain = None,
    gpu_hours: option.GPUHours = None,
    patience: option.Patience = None,
    seed: option.Seed = 0,
    sampler: option.Sampler = "tpe",
    scheduler: option.Early = None,
    objectives: option.Objectives = None,
    constraint: option.Constraints = None,
    warm_start: option.WarmStart = None,
    deterministic: option.Deterministic = False,
    cpus_per_trial: option.CPUsPerTrial = 1.0,
    gpus_per_trial: option.GPUsPerTrial = 0.0,
    memory_per_trial: option.MemoryPerTrial = None,
    concurrent: option.Concurrent = None,
    address: option.Address = None,
    join: option.Join = False,
    accept_changes: option.AcceptChanges = False,
    dry_run: option.DryRun = False,
    list_spaces: option.ListSpaces = False,
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
            stages=("search", "confirm") if stage is option.StageName.both else (stage.value,),
            trials=trials,
            epochs=epochs,
            seeds=seeds,
            arms=tuple(arms.replace(" ", "").split(",")) if arms is not None else None,
            draws=draws,
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
            command=tuple(sys.argv[1:]) if Path(sys.argv[0]).resolve() == Path(__file__).resolve() else (),
        )
        if dry_run:
            dry = prepare_sweep(request, console)
            refuse_what_the_store_would(dry, console)
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
    was_asked = outcome.stopped is not None and outcome.stopped.startswith("asked")
    return 0 if was_asked or any(c["COMPLETE"] for c in outcome.counts.values()) else NO_RESULT


if __name__ == "__main__":
    start(app)
