"""`python -m trial.train CONFIG.yaml`: one configuration, no sweep; the same loop, the same outputs, the same store."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from data.errors import DataError
from reports.console import open_console, refused, start
from search_spaces.errors import SpaceError
from storage.errors import StorageError
from trial.checkpoint import CheckpointError
from trial.logs import logging_to_terminal
from trial.options import Runs, Storage, folder_of
from trial.single import TrainOutcome, next_phase, run_training
from trial.train_request import TrainRequest, prepare_training
from trial.training_view import print_check, print_outcome

NO_RESULT, INTERRUPTED = 1, 130
SPENT = ("--max-steps", "--phase", "--resume-checkpoint")  # options that have had their effect once it stopped
REFUSALS = (SpaceError, DataError, StorageError, CheckpointError)
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="YAML of a configuration; what it leaves out has its default.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Panel, as for a sweep. (default: the synthetic market)", show_default=False),
    ] = None,
    runs: Runs = None,
    storage: Storage = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the study. (default: the file's)", show_default=False)
    ] = None,
    fold: Annotated[
        str | None, typer.Option(help="search, confirm-1, .. (default: the configuration's)", show_default=False)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed. (default: the configuration's)", show_default=False)
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Validate, say what would be trained, and leave.")] = False,
    max_steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="Stop once so many steps are done, those of earlier starts included.", show_default=False
        ),
    ] = None,
    phase: Annotated[
        str | None, typer.Option(help="Train this phase of the plan and stop after it.", show_default=False)
    ] = None,
    resume_checkpoint: Annotated[
        Path | None, typer.Option(help="Go on from this checkpoint of the same configuration.", show_default=False)
    ] = None,
    by: Annotated[str, typer.Option(help="Metrics also by group, comma between: sector, section, liquidity.")] = "",
) -> None:
    """Train one configuration and score it: what a sweep does in a trial, where a person can watch.

    Exit status: 0 done, 1 the training ended itself or failed, 2 refused before anything started, 130 interrupted.
    """
    console = open_console()
    try:
        request = TrainRequest(
            config=config,
            panel=data,
            runs=folder_of(runs),
            storage=storage,
            name=name,
            fold=fold,
            seed=seed,
            max_steps=max_steps,
            phase=phase,
            resume_checkpoint=resume_checkpoint,
            groups=tuple(filter(None, by.replace(" ", "").split(","))),
        )
        prepared = prepare_training(request, console, only_check=check)
        if check:
            print_check(prepared, console)
            return
        with logging_to_terminal("WARNING"):
            outcome = run_training(prepared, console)
    except REFUSALS as error:
        raise refused(error) from None
    again = going_on(sys.argv[1:], next_phase(outcome))
    print_outcome(outcome, console, again=f"python -m trial.train {shlex.join(again)}")
    raise typer.Exit(status_of(outcome))


def going_on(arguments: list[str], phase: str | None = None) -> list[str]:
    """The command line that goes on from the newest checkpoint, with the phase to come.

    Without --max-steps, which would stop again at once, and --resume-checkpoint, which would go back.

    Args:
        arguments: of the command that stopped.
        phase: the next one of the plan; None: the training goes on to its end.
    """
    kept, is_value = [], False
    for argument in arguments:
        name = argument.partition("=")[0]
        if not is_value and name not in SPENT:
            kept.append(argument)
        is_value = argument in SPENT
    return kept if phase is None else [*kept, "--phase", phase]


def status_of(outcome: TrainOutcome) -> int:
    """The command's exit status."""
    if outcome.stopped is not None:
        if outcome.was_interrupted:
            return INTERRUPTED
        return NO_RESULT if outcome.lost else 0
    return 0 if outcome.state == "COMPLETE" else NO_RESULT


if __name__ == "__main__":
    start(app)
