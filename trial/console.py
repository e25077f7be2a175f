"""Where the commands write: as wide as the terminal, wide enough for tables where piped."""

from __future__ import annotations

import shutil
import sys

import typer
from rich.console import Console

WIDTH_OF_A_PIPE = 140
BAD_INPUT = 2


def refused(error: Exception) -> typer.Exit:
    """Says on standard error why nothing was started; to be raised: exit status 2."""
    for line in str(error).splitlines():
        print(f"error: {line}", file=sys.stderr)
    return typer.Exit(BAD_INPUT)


def open_console() -> Console:
    """Standard output; plain text and unwrapped lines where it is no terminal. COLUMNS is respected."""
    if sys.stdout.isatty():
        return Console(highlight=False, markup=False)
    width = shutil.get_terminal_size((WIDTH_OF_A_PIPE, 24)).columns
    return Console(soft_wrap=True, highlight=False, markup=False, width=width)
