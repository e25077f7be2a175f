"""Options that the commands about reports share, and how they open the store and refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SweepName = Annotated[str, typer.Argument(help="Study, for example gat_ablation.")]
Runs = Annotated[Path, typer.Option(envvar="ATFT_RUNS", help="Folder of the sweeps.")]
Storage = Annotated[
    str | None, typer.Option(help="Database, or env:NAME. (default: sqlite:///<runs>/sweeps.db)", show_default=False)
]
Json = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        dir_okay=False,
        allow_dash=True,
        help="Write the numbers there as JSON instead; '-' is standard output.",
        show_default=False,
    ),
]
