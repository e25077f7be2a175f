"""Where the commands write: as wide as the terminal, wide enough for tables where piped."""

from __future__ import annotations

import gc
import shutil
import sys

import typer
from rich.console import Console

from storage.errors import LostError

WIDTH_OF_A_PIPE = 140
NO_RESULT, BAD_INPUT = 1, 2


def start(app: typer.Typer) -> None:
    """Runs a command. The collector leaves what was imported alone, or the exit alone would look at it for a second."""
    gc.freeze()
    app()


def refused(error: Exception) -> typer.Exit:
    """Says on standard error why it does not go on; to be raised: exit status 2, or 1 where the store was lost."""
    for line in str(error).splitlines():
        print(f"error: {line}", file=sys.stderr)
    return typer.Exit(NO_RESULT if isinstance(error, LostError) else BAD_INPUT)


def open_console() -> Console:
    """Standard output; plain text and unwrapped lines where it is no terminal. COLUMNS is respected."""
    if sys.stdout.isatty():
        return Console(highlight=False, markup=False)
    width = shutil.get_terminal_size((WIDTH_OF_A_PIPE, 24)).columns
    return Console(soft_wrap=True, highlight=False, markup=False, width=width)
