"""`python -m trial.stop NAME`: asks the driver of a study, wherever it runs, to stop cleanly."""

from __future__ import annotations

import typer

from reports.console import open_console, refused, start
from storage.database import away_in_words, open_existing
from storage.drain import LOOK_SECONDS, ask_to_stop
from storage.errors import StorageError
from storage.lease import holder_of
from storage.names import sweep_of
from storage.record import stages_of
from trial.options import Runs, Storage, SweepName, url_of

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command()
def stop(name: SweepName, runs: Runs = None, storage: Storage = None) -> None:
    """Ask a running sweep to stop after the epochs under way. The same sweep command goes on later."""
    console = open_console()
    name = sweep_of(name)
    try:
        with away_in_words():
            opened = open_existing(url_of(storage, runs))
            holder = holder_of(opened.engine, name)
            if holder is None or not holder.lives:
                stages_of(opened, name)
                raise StorageError(f"a driver must run {name!r} to be stopped, but none does.")
            ask_to_stop(opened.engine, name)
    except StorageError as error:
        raise refused(error) from None
    console.print(
        f"asked process {holder.pid} on {holder.host} to stop {name}; it looks every {LOOK_SECONDS:.0f} s and stops "
        f"after the epochs under way. python -m trial.status {name} shows it."
    )


if __name__ == "__main__":
    start(app)
