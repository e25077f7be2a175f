"""`python -m trial.export NAME`: the confirmed winner as one folder that is complete, verified, and loads strictly."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from optuna.storages import RDBStorage
from rich.console import Console

from data.errors import DataError
from data.fingerprint import take_fingerprint
from data.store import MarketStore
from reports.as_json import as_json
from reports.console import open_console, refused
from search_spaces.config import TrialConfig, validated
from search_spaces.errors import SpaceError
from storage.bundle import BundleError, publish, refuse_existing, seal
from storage.database import open_existing
from storage.errors import StorageError
from storage.names import sweep_of
from storage.provenance import read_provenance
from trial.build import fold_of
from trial.bundle import CARD, CONFIG, CONFIRMED, FEATURES, FINGERPRINT, METRICS, PROVENANCE, SET, write_json
from trial.card import model_card
from trial.choice import Choice, choose_trial, choose_winner
from trial.contract import Contract
from trial.facts import whole_provenance
from trial.market import market_of
from trial.options import Runs, Storage, StudyName, folder_of, url_of
from trial.predictions import PREDICTIONS, SCALER, WEIGHTS

BUNDLE = "bundle"
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Export:
    """What is written, all of it known before anything is."""

    choice: Choice
    configs: tuple[TrialConfig, ...]  # of the members
    market: MarketStore
    contract: Contract
    provenance: dict[str, Any]


@app.command()
def export(
    name: StudyName,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write. (default: <runs>/NAME/bundle)", show_default=False)
    ] = None,
    trial: Annotated[
        int | None, typer.Option(min=0, help="A trial of the study NAME, instead of the winner.", show_default=False)
    ] = None,
    ensemble: Annotated[
        int, typer.Option(min=1, max=64, help="So many seeds of the winner together; their mean is scored.")
    ] = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is there.")] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="The panel, where the prepared market is gone. (default: where it was)", show_default=False),
    ] = None,
    runs: Runs = None,
    storage: Storage = None,
) -> None:
    """Write the confirmed winner as a folder for production, and prove it in a fresh process.

    It holds configuration, weights, scaler, feature list, what the columns looked like, figures with intervals,
    provenance and a model card, and refuses to be used if a byte of it, or the panel's columns, are not as they were.
    """
    console = open_console()
    try:
        if trial is not None and ensemble > 1:
            raise StorageError("an export is of --trial or of --ensemble, but both were given. Drop one.")
        folder = out or folder_of(runs) / name / BUNDLE
        refuse_existing(folder, force)
        opened = open_existing(url_of(storage, runs))
        choice = (
            choose_trial(opened, name, trial) if trial is not None else choose_winner(opened, sweep_of(name), ensemble)
        )
        plan = _plan(opened, choice, folder_of(runs), data, console)
        with _scratch(folder) as scratch:
            _write(plan, scratch, folder.name)
            proof = _prove(scratch, plan.market)
            publish(scratch, folder, force)
    except (SpaceError, DataError, StorageError) as error:
        raise refused(error) from None
    _say(plan, folder, proof, console)


def _chosen(storage: RDBStorage, name: str, trial: int | None, ensemble: int) -> Choice:
    return choose_winner(storage, sweep_of(name), ensemble) if trial is None else choose_trial(storage, name, trial)


def _plan(storage: RDBStorage, choice: Choice, runs: Path, panel: Path | None, console: Console) -> Export:
    record = choice.records[0]
    configs = tuple(validated(each.config) for each in choice.records)
    market = market_of(storage, choice.study, record, configs[0], runs, panel, console)
    provenance = {
        "study": choice.study,
        "trials": [each.number for each in choice.records],
        "store": {"panel": market.meta.panel_key, "cells": market.meta.cells_key, "market": market.meta.market},
        "trained_by": read_provenance(storage.engine, str(record.attributes["provenance"])),
        "exported_by": whole_provenance(),
        "command": ["python", "-m", "trial.export", *sys.argv[1:]],
    }
    return Export(choice, configs, market, Contract.of(market), provenance)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder beside the final one; gone afterwards, whatever happens."""
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        scratch.mkdir(parents=True)
        yield scratch
    except OSError as error:
        raise BundleError(f"a bundle needs a folder that can be written, but {folder} is none: {error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write(plan: Export, scratch: Path, name: str) -> None:
    (scratch / CONFIG).write_text(plan.configs[0].to_yaml())
    (scratch / FEATURES).write_text(plan.contract.model_dump_json(indent=1) + "\n")
    train = fold_of(plan.configs[0], plan.market).train
    take_fingerprint(plan.market, train).save(scratch / FINGERPRINT)
    write_json(scratch / METRICS, _metrics(plan))
    write_json(scratch / PROVENANCE, plan.provenance)
    (scratch / CARD).write_text(model_card(plan.choice, plan.configs[0], plan.market, name))
    own = scratch / CONFIRMED
    for place, (config, source) in enumerate(zip(plan.configs, plan.choice.folders, strict=True)):
        member = own / str(place)
        member.mkdir(parents=True)
        (member / CONFIG).write_text(config.to_yaml())
        for file in (WEIGHTS, SCALER, PREDICTIONS):
            shutil.copyfile(source / file, member / file)
    dates = plan.market.meta.dates
    days = {"learned_from": dates[train[0]], "trained_through": dates[train[-1]], "num_members": len(plan.configs)}
    write_json(own / SET, days)
    seal(scratch)


def _metrics(plan: Export) -> dict[str, Any]:
    """The report's numbers, and every member's own."""
    own = [
        {"trial": each.number, "seed": each.seed, "fold": each.fold, "value": each.value, **each.curve[-1]["scorecard"]}
        for each in plan.choice.records
    ]
    return {"sweep": as_json(plan.choice.evidence), "members": own}


def _prove(scratch: Path, market: MarketStore) -> str:
    """Loads it in a fresh process, and has it predict again what it did."""
    command = [sys.executable, "-m", "trial.verify", str(scratch), "--market", str(market.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BundleError(f"a bundle must be proved before it is published, but: {done.stderr.strip()}")
    return done.stdout.strip()


def _say(plan: Export, folder: Path, proof: str, console: Console) -> None:
    found = plan.choice.found
    console.print(f"exported   {plan.choice.why}", soft_wrap=True)
    if found is not None:
        console.print(f"deploy     {found.decision}, because {found.why}", soft_wrap=True)
    for line in proof.splitlines():
        console.print(line.replace(f".{folder.name}.{os.getpid()}.tmp", folder.name), soft_wrap=True)
    console.print(f"bundle     {folder}", soft_wrap=True)
    panel = plan.choice.evidence.any_study.attributes.get("panel_path", "PANEL.parquet")
    console.print(f"next       python -m trial.predict {folder} {panel}", soft_wrap=True)


if __name__ == "__main__":
    app()
