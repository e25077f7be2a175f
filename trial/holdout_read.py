"""A read of the hold-out: the winner, named before; the market with its last days; one stage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.storages import RDBStorage
from rich.console import Console

from data.config import DataConfig, SplitConfig
from data.errors import DataError
from data.prepare import prepare
from data.progress import Shown
from data.store import MarketStore
from reports.deployment import decide, winning_record
from reports.evidence import read_evidence
from search_spaces.config import TrialConfig, validated
from storage.definition import DEFINITION
from storage.errors import StorageError
from storage.lease import Lease
from storage.names import CONFIRM, HOLDOUT, studies_of
from storage.study import StudyStore
from trial.budget import Budget
from trial.cell_plan import MAX_SEEDS, Cell, CellPlan
from trial.facts import folds_by_date, market_number, tell_facts, whole_provenance
from trial.holdout_once import HoldoutRead, unless_read
from trial.reference_rows import forget_references_of_others
from trial.request import SweepRequest
from trial.settings import read_settings
from trial.stages import Stage, place_of, take_up
from trial.stopping import StopRequest

FOLD = "confirm-1"  # of a layout whose only confirm fold is the hold-out


def plan_read(storage: RDBStorage, request: SweepRequest, burn: bool, console: Console) -> HoldoutRead:
    """Names the winner, opens its market without the hold-out, and looks at earlier reads.

    Args:
        storage: open.
        request: its space is the sweep's name, its panel that of `--data`.
        burn: whether a second read, or one that cannot lead to a yes, is wanted all the same.
        console: for the progress of preparing.

    Raises:
        StorageError: there is no winner, its answer does not wait for the hold-out, or that was read before.
        DataError: the panel is gone or another one, or has no hold-out.
    """
    sweep = str(request.space)
    evidence = read_evidence(storage, sweep)
    found = decide(evidence)
    if found.winner is None or evidence.confirm is None:
        raise StorageError(f"a hold-out is read for a confirmed winner, but {found.why}. Run the sweep to its end.")
    record = winning_record(evidence.confirm, found.winner.arm)
    config = validated(record.config)
    about = evidence.confirm.attributes
    panel = _panel(request.panel, about)
    market = prepare(panel, request.runs / "prepared", config.data, Shown(console), read_settings().prepare_memory_mib)
    if market.meta.cells_key != about[DEFINITION]["cells"]:
        raise DataError(f"the hold-out must be that of the sweep's panel, but {panel} has other cells before it.")
    if market.meta.holdout_from is None:
        raise DataError("a hold-out can be read where days were held out, but this sweep's splits hold out none.")
    number = market_number(storage, market)
    read = HoldoutRead(
        sweep,
        found.winner.arm,
        found.winner.config_hash,
        config,
        found.winner.confirm.level.num_seeds,
        panel,
        market,
        f"{market.meta.holdout_from} .. {market.meta.held_out_through}",
        number,
    )
    return unless_read(storage, read, found, burn)


def _panel(given: Path | None, about: dict[str, Any]) -> Path:
    panel = given or Path(str(about["panel_path"]))
    if not panel.exists():
        raise DataError(f"the sweep's panel must be there, but {panel} is not. Give it with --data.")
    return panel


def whole_market(read: HoldoutRead, request: SweepRequest, console: Console) -> HoldoutRead:
    """The market with its hold-out, which is the last fold of the layout that comes back with it.

    Raises:
        DataError: the hold-out is shorter than a label.
    """
    own = read.config.data.splits
    without = own.model_copy(update={"holdout_days": 0, "holdout_from": None})
    data = read.config.data.model_copy(update={"splits": without})
    memory = read_settings().prepare_memory_mib
    whole = prepare(read.panel, request.runs / "prepared", data, Shown(console), memory)
    first = int(np.searchsorted(whole.dates, np.datetime64(str(read.market.meta.holdout_from))))
    return replace(read, market=whole, config=read.config.replace(data=_layout(data, without, first, whole)))


def _layout(data: DataConfig, splits: SplitConfig, first: int, whole: MarketStore) -> DataConfig:
    """Folds whose only confirm fold is every day from `first` on that has a label."""
    labelled = whole.num_days - first - data.horizons[-1] - data.delay
    if labelled < 2:
        raise DataError(
            f"a hold-out must have at least 2 days whose labels are known, but of its {whole.num_days - first} days "
            f"{max(0, labelled)} are: labels reach {data.horizons[-1]} days, {data.delay} later. Bring a longer panel."
        )
    return data.model_copy(update={"splits": splits.model_copy(update={"confirm_folds": 1, "confirm_days": labelled})})


def hold_out_stage(
    storage: RDBStorage, read: HoldoutRead, request: SweepRequest, lease: Lease, stop: StopRequest, console: Console
) -> Stage:
    """NAME.holdout: the winner with as many seeds as it was confirmed with, trained on all days before the hold-out."""
    study = StudyStore(storage, f"{read.sweep}{HOLDOUT}", guard=lease.renew)
    take_up(study, lease, request.runs, console)
    splits = read.market.splits(read.config.data)
    definition = {
        "stage": "holdout",
        "cells": read.market.meta.cells_key,
        "folds": folds_by_date(read.market, splits),
        "winner": read.config.model_dump(mode="json", exclude={"seed", "fold"}),
        "code": whole_provenance()["code"],
    }
    study.define(definition, read.config.train.epochs, accept=True)  # another winner was asked for, and is counted
    tell_facts(study, read.panel, read.market, splits, read.config)
    forget_references_of_others(study, read.config, read.market)
    for key, value in _facts(read).items():
        study.study.set_user_attr(key, value)
    budget = Budget(study, studies_of(read.sweep), stop)
    place = place_of(storage, request, read.market, lease, budget)

    def configure(cell: Cell) -> TrialConfig:
        return read.config.replace(seed=cell["seed"], fold=FOLD)

    ranges = {"seed": CategoricalDistribution(list(range(MAX_SEEDS)))}
    plan = CellPlan(study, ranges, [{}], configure, place, read.num_seeds)
    return Stage("hold-out", study, plan, None, budget)


def _facts(read: HoldoutRead) -> dict[str, Any]:
    """By which a report knows whose hold-out this is."""
    return {
        "summary": f"the winner of {read.sweep}{CONFIRM} on the hold-out",
        "winner": {"arm": read.arm, "config_hash": read.confirmed, "trained_hash": read.config.hash},
        "reference_arm": read.arm,
        "objectives": ["rank_ic"],
        "rungs": [],
    }
