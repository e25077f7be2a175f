"""Where the commands write: as wide as the terminal, wide enough for tables where piped."""

from __future__ import annotations

import shutil
import sys

from rich.console import Console

WIDTH_OF_A_PIPE = 140


def open_console() -> Console:
    """Standard output; plain text and unwrapped lines where it is no terminal. COLUMNS is respected."""
    if sys.stdout.isatty():
        return Console(highlight=False, markup=False)
    width = shutil.get_terminal_size((WIDTH_OF_A_PIPE, 24)).columns
    return Console(soft_wrap=True, highlight=False, markup=False, width=width)
