"""How long a command takes to say what it takes, beside the imports that it cannot do without.

`python -m benchmarks.start`: each in turn, a process of its own every time, medians of the rounds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from benchmarks.measure import alternating
from reports.console import open_console

FLOOR = "import torch, ray.tune, optuna, sqlalchemy"
COMMANDS = ("trial.sweep", "trial.train", "trial.predict", "trial.status", "reports.ablation", "data.prepare")
app = typer.Typer(add_completion=False)


@app.command()
def start(
    rounds: Annotated[int, typer.Option(min=1, help="Times that each is started.")] = 7,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
) -> None:
    """Seconds that a command takes for `--help`, and how many times those of importing torch, Ray Tune and Optuna."""
    started = {f"python -c '{FLOOR}'": ["-c", FLOOR]} | {f"{name} --help": ["-m", name, "--help"] for name in COMMANDS}
    seconds = alternating(*(partial(_start, arguments) for arguments in started.values()), repeat=rounds)
    table = Table("started", "seconds", "times the imports")
    for name, each in zip(started, seconds, strict=True):
        table.add_row(name, f"{each:.2f}", f"{each / seconds[0]:.2f}")
    console = open_console()
    console.print(table)
    if json_file is not None:
        json_file.write_text(json.dumps(dict(zip(started, seconds, strict=True)), indent=1))
        console.print(f"figures: {json_file}")


def _start(arguments: list[str]) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    app()
