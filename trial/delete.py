"""`python -m trial.delete NAME`: removes a study and its confirm study, after asking."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer
from optuna.storages import RDBStorage

from data.findings import counted
from reports.console import open_console, refused, start
from search_spaces.errors import SpaceError
from storage.database import away_in_words, open_existing
from storage.errors import StorageError
from storage.lease import Lease
from storage.names import sweep_of
from storage.record import load_study, stages_of
from storage.remove import remove_study
from trial.options import Runs, Storage, SweepName, folder_of, url_of

NOT_DONE = 1
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command()
def delete(
    name: SweepName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    keep_files: Annotated[
        bool, typer.Option("--keep-files", help="Leave checkpoints, predictions, logs and report on disk.")
    ] = False,
    runs: Runs = None,
    storage: Storage = None,
) -> None:
    """Remove a study, its confirm study, and their files. Refused while a driver runs it.

    Exit status: 0 removed, 1 not confirmed, 2 refused.
    """
    console = open_console()
    name = sweep_of(name)
    try:
        with away_in_words():
            opened = open_existing(url_of(storage, runs))
            studies = stages_of(opened, name)
            folders = [] if keep_files else [f for s in studies if (f := folder_of(runs) / s).is_dir()]
            lease = Lease(opened.engine, name)
            try:
                if not yes and not _confirmed(opened, studies, folders):
                    console.print("nothing was removed")
                    raise typer.Exit(NOT_DONE)
                for study in studies:
                    remove_study(opened, study)
                for folder in folders:
                    shutil.rmtree(folder)
            finally:
                lease.release()
    except (SpaceError, StorageError) as error:
        raise refused(error) from None
    console.print(f"removed    {', '.join([*studies, *map(str, folders)])}")


def _confirmed(storage: RDBStorage, studies: list[str], folders: list[Path]) -> bool:
    """Asks a person; without one, refuses.

    Raises:
        SpaceError: nobody can be asked.
    """
    if not sys.stdin.isatty():
        raise SpaceError("a study is removed after a question, but standard input is no terminal. Give --yes.")
    trials = {study: len(load_study(storage, study).get_trials(deepcopy=False)) for study in studies}
    told = ", ".join(f"{study} ({counted(number, 'trial')})" for study, number in trials.items())
    return typer.confirm(f"Remove {told}{' and ' + ', '.join(map(str, folders)) if folders else ''} for ever?")


if __name__ == "__main__":
    start(app)
