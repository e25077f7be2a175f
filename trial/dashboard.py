"""`python -m trial.dashboard NAME`: optuna-dashboard on the right store, in this process, on loopback alone."""

from __future__ import annotations

import socket
from typing import Annotated

import typer
from optuna_dashboard import run_server

from reports.console import open_console, refused, start
from search_spaces.errors import SpaceError
from storage.database import away_in_words, open_existing
from storage.errors import StorageError
from storage.names import sweep_of
from storage.record import stages_of
from trial.options import Runs, Storage, SweepName, folder_of, url_of

LOOPBACK = "127.0.0.1"  # it has no authentication
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command()
def dashboard(
    name: SweepName,
    port: Annotated[int, typer.Option(min=1, max=65535, help="TCP port on 127.0.0.1.")] = 8080,
    runs: Runs = None,
    storage: Storage = None,
) -> None:
    """Serve optuna-dashboard for a study's store until Ctrl-C. It has no password, so only this machine sees it."""
    console = open_console()
    name = sweep_of(name)
    try:
        with away_in_words():
            opened = open_existing(url_of(storage, runs))
            found = {study: opened.get_study_id_from_name(study) for study in stages_of(opened, name)}
        _refuse_taken(port)
    except (SpaceError, StorageError) as error:
        raise refused(error) from None
    for study, number in found.items():
        console.print(f"{study:24} http://{LOOPBACK}:{port}/dashboard/studies/{number}", soft_wrap=True)
    if (report := folder_of(runs) / name / "report.html").exists():
        console.print(f"{'report':24} {report}", soft_wrap=True)
    console.print("its learning curves are the epochs' RankIC; reasons and costs are user attributes. Ctrl-C ends it.")
    try:
        run_server(opened, host=LOOPBACK, port=port)
    except KeyboardInterrupt:
        return


def _refuse_taken(port: int) -> None:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((LOOPBACK, port))
        except OSError as error:
            raise SpaceError(f"--port must be free, but {port} is not ({error.strerror}). Choose another.") from error


if __name__ == "__main__":
    start(app)
