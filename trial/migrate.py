"""`python -m trial.migrate FROM TO`: moves studies from one store to another, without loss."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from data.findings import counted
from reports.console import open_console, refused, start
from search_spaces.errors import SpaceError
from storage.address import store_address
from storage.copy import Copied, copy_study
from storage.database import away_in_words, open_existing, open_storage, shown_url
from storage.errors import StorageError
from storage.lease import Lease
from storage.names import sweep_of
from storage.record import load_study, study_names

Store = Annotated[str, typer.Argument(help="Database: sqlite:///FILE, postgresql://USER@HOST/DB, or env:NAME.")]
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command()
def migrate(
    source: Store,
    target: Store,
    name: Annotated[
        list[str] | None, typer.Option(help="Study to move; may be repeated. (default: all)", show_default=False)
    ] = None,
) -> None:
    """Copy studies, with their epochs, events, costs, ledger and provenances, and compare what arrived.

    The source stays as it is; trial.delete removes it. Refused while a driver runs one of them, and where the target
    has a study of that name. A copy that is cut short leaves nothing behind.
    """
    console = open_console()
    try:
        with away_in_words():
            here, there = store_address(source), store_address(target)
            store = open_existing(here)
            if shown_url(here) == shown_url(there):
                raise StorageError("FROM and TO must be two stores, but they are one.")
            names = name or sorted(study_names(store))
            if not names:
                raise StorageError(f"FROM must hold studies, but {shown_url(here)} holds none.")
            for each in names:
                load_study(store, each)
            new = open_storage(there)
            for each in names:
                lease = Lease(store.engine, sweep_of(each))
                try:
                    with console.status(f"copying {each}"):
                        copied = copy_study(store, new, each)
                finally:
                    lease.release()
                console.print(_in_words(copied), soft_wrap=True)
    except (SpaceError, StorageError) as error:
        raise refused(error) from None
    console.print(f"look       python -m trial.trials {names[0]} --storage {shlex.quote(target)}", soft_wrap=True)


def _in_words(copied: Copied) -> str:
    return (
        f"{copied.study}: {counted(copied.trials, 'trial')}, {counted(copied.epochs, 'epoch')}, "
        f"{counted(copied.events, 'event')}; read back and compared"
    )


if __name__ == "__main__":
    start(app)
