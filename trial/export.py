"""`python -m trial.export NAME`: the confirmed winner as one folder that is complete, verified, and loads strictly."""

from __future__ import annotations

import datetime as dt
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from optuna.storages import RDBStorage
from rich.console import Console

from data.errors import DataError
from data.store import MarketStore
from reports.as_json import as_json
from reports.console import open_console, refused, start
from reports.monitoring.thresholds import Thresholds
from search_spaces.config import TrialConfig, validated
from search_spaces.errors import SpaceError
from storage.bundle import publish, refuse_existing, scratch_beside, seal
from storage.database import open_existing
from storage.errors import StorageError
from storage.names import sweep_of
from storage.provenance import read_provenance
from trial.build import fold_of
from trial.facts import whole_provenance
from trial.machine import Machine
from trial.market import market_of
from trial.options import Runs, Storage, StudyName, folder_of, url_of
from trial.production.bundle import CARD, METRICS, PROVENANCE
from trial.production.card import CARD_OF_LATER, model_card
from trial.production.choice import GREEDY, Choice, choose_greedy, choose_trial, choose_winner
from trial.production.ensembles import copy_left
from trial.production.expectation import EXPECTED, expectation, write_expectation
from trial.production.findings import FINDINGS, EnsembleFindings
from trial.production.networks import CONFIG, read_networks, write_json, write_networks
from trial.production.proof import prove
from trial.production.thresholds import THRESHOLDS, read_thresholds
from trial.production.through import set_through, train_through
from trial.settings import read_settings
from trial.train_request import device_of

BUNDLE = "bundle"
MOST_SEEDS = 64
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Export:
    """What is written, all of it known before anything is."""

    choice: Choice
    configs: tuple[TrialConfig, ...]  # of the members
    market: MarketStore
    panel: Path
    provenance: dict[str, Any]
    thresholds: Thresholds


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
        str, typer.Option(help="So many seeds of the winner together, or greedy: what trial.ensemble chose.")
    ] = "1",
    through: Annotated[
        dt.datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="Then train the same configuration on every day through this one too, as a second set of weights.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is there.")] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="The panel, where the prepared market is gone. (default: where it was)", show_default=False),
    ] = None,
    thresholds: Annotated[
        Path | None, typer.Option(help="YAML of the monitor's thresholds. (default: usual ones)", show_default=False)
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
        num_members = _num_members(ensemble, trial)
        folder = out or folder_of(runs) / name / BUNDLE
        refuse_existing(folder, force)
        opened = open_existing(url_of(storage, runs))
        choice = _choose(opened, name, trial, num_members, folder_of(runs))
        limits = Thresholds() if thresholds is None else read_thresholds(thresholds)
        plan = _plan(opened, choice, folder_of(runs), data, limits, console)
        with scratch_beside(folder) as scratch:
            _write(plan, scratch, folder.name)
            markets = {choice.name: plan.market}
            if through is not None:
                markets |= _learn_on(plan, scratch, through.date(), folder_of(runs), console)
            seal(scratch)
            proof = [line for name, market in markets.items() for line in prove(scratch, folder.name, name, market)]
            publish(scratch, folder, force)
    except (SpaceError, DataError, StorageError) as error:
        raise refused(error) from None
    _say(plan, folder, proof, console)


def _num_members(ensemble: str, trial: int | None) -> int | None:
    """None: the greedy ensemble's own."""
    if trial is not None and ensemble != "1":
        raise StorageError("an export is of --trial or of --ensemble, but both were given. Drop one.")
    if ensemble == GREEDY:
        return None
    if not ensemble.isdecimal() or not 1 <= int(ensemble) <= MOST_SEEDS:
        raise StorageError(f"--ensemble must be greedy, or a number from 1 to {MOST_SEEDS}, got {ensemble!r}.")
    return int(ensemble)


def _choose(storage: RDBStorage, name: str, trial: int | None, num_members: int | None, runs: Path) -> Choice:
    if trial is not None:
        return choose_trial(storage, name, trial)
    sweep = sweep_of(name)
    if num_members is None:
        return choose_greedy(storage, sweep, EnsembleFindings.load(runs / sweep / FINDINGS, sweep))
    return choose_winner(storage, sweep, num_members)


def _plan(
    storage: RDBStorage, choice: Choice, runs: Path, panel: Path | None, limits: Thresholds, console: Console
) -> Export:
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
    own = panel or Path(str(choice.evidence.any_study.attributes.get("panel_path", "PANEL.parquet")))
    return Export(choice, configs, market, own, provenance, limits)


def _write(plan: Export, scratch: Path, name: str) -> None:
    (scratch / CONFIG).write_text(plan.configs[0].to_yaml())
    write_json(scratch / METRICS, _metrics(plan))
    write_json(scratch / PROVENANCE, plan.provenance)
    (scratch / THRESHOLDS).write_text(plan.thresholds.to_yaml())
    write_expectation(scratch / EXPECTED, expectation(plan.choice))
    (scratch / CARD).write_text(model_card(plan.choice, plan.configs[0], plan.market, name))
    own, train = scratch / plan.choice.name, fold_of(plan.configs[0], plan.market).train
    meta, choice = plan.market.meta, plan.choice
    write_networks(own, plan.market, train, plan.configs, choice.why, meta.held_out_through, choice.shares)
    for place, record in enumerate(plan.choice.records):
        copy_left(record, own / str(place))


def _learn_on(plan: Export, scratch: Path, date: dt.date, runs: Path, console: Console) -> dict[str, MarketStore]:
    """The second set, by its name, and the market that it learned from; the card says that nobody has scored it."""
    networks = scratch / set_through(date)
    parent = read_networks(scratch / plan.choice.name)
    settings = read_settings()
    machine = Machine.of(settings, device_of(settings))
    market = train_through(networks, parent, plan.panel, runs / "prepared", date, machine, console)
    with (scratch / CARD).open("a") as card:
        card.write(CARD_OF_LATER.format(name=networks.name, date=date, parent=parent.name))
    return {networks.name: market}


def _metrics(plan: Export) -> dict[str, Any]:
    """The report's numbers, and every member's own."""
    own = [
        {"trial": each.number, "seed": each.seed, "fold": each.fold, "value": each.value, **each.curve[-1]["scorecard"]}
        for each in plan.choice.records
    ]
    return {"sweep": as_json(plan.choice.evidence), "members": own}


def _say(plan: Export, folder: Path, proof: list[str], console: Console) -> None:
    found = plan.choice.found
    console.print(f"exported   {plan.choice.why}", soft_wrap=True)
    if found is not None:
        console.print(f"deploy     {found.decision}, because {found.why}", soft_wrap=True)
    for line in proof:
        console.print(line, soft_wrap=True)
    console.print(f"bundle     {folder}", soft_wrap=True)
    console.print(f"next       python -m trial.predict {folder} {plan.panel}", soft_wrap=True)


if __name__ == "__main__":
    start(app)
