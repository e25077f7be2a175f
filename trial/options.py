"""Options that commands about a study share: where its store is, and its name."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from storage.address import store_of
from storage.database import Address
from trial.settings import read_settings

StudyName = Annotated[str, typer.Argument(help="Study, such as gat_ablation or gat_ablation.confirm.")]
SweepName = Annotated[str, typer.Argument(help="Study, such as gat_ablation; its confirm study goes with it.")]
Runs = Annotated[Path | None, typer.Option(help="Folder of runs. (default: runs)", show_default=False)]
Storage = Annotated[
    str | None, typer.Option(help="Database, or env:NAME. (default: sqlite:///<runs>/sweeps.db)", show_default=False)
]


def folder_of(runs: Path | None) -> Path:
    """The folder that was asked for, or the machine's."""
    return runs or read_settings().runs


def url_of(storage: str | None, runs: Path | None) -> Address:
    """The database that was asked for, or the folder's own."""
    return store_of(storage, folder_of(runs))


def where(runs: Path | None, storage: str | None) -> str:
    """What was said of both, to be added to a command that is told as the next one."""
    said = {"--runs": runs, "--storage": storage}
    return "".join(f" {option} {shlex.quote(str(value))}" for option, value in said.items() if value is not None)
