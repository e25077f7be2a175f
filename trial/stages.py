"""The stages of a sweep: their studies opened, defined and adopted; their plans."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from rich.console import Console

from data.findings import counted
from search_spaces.config import TrialConfig
from search_spaces.space import REFERENCE
from storage.definition import DEFINITION, changes, plain, refuse_changed
from storage.lease import Lease
from storage.record import CONFIRM
from storage.study import DRIVER, StudyStore
from trial.adoption import Adoption
from trial.budget import Budget
from trial.cluster import most_memory_mib
from trial.facts import folds_by_date, kept_provenance, market_number, tell_facts, whole_provenance
from trial.machine import Machine
from trial.packing import Packing, gpu_memory_mib
from trial.plan import ConfirmPlan, Place, Plan, SearchPlan
from trial.request import Early, Prepared
from trial.sampling import make_sampler
from trial.settings import read_settings
from trial.stopping import StopRequest
from trial.warm_start import first_points


@dataclass(frozen=True)
class Stage:
    """One study of a sweep, ready to run."""

    title: str
    study: StudyStore
    plan: Plan
    early: Early | None
    budget: Budget


def open_stages(
    storage: RDBStorage, name: str, prepared: Prepared, lease: Lease, stop: StopRequest, console: Console
) -> list[Stage]:
    """Those that the request asks for.

    Raises:
        StorageError: a study's definition changed.
    """
    stages = []
    if "search" in prepared.request.stages:
        stages.append(_search(storage, name, prepared, lease, stop, console))
    if "confirm" in prepared.request.stages:
        stages.append(_confirm(storage, name, prepared, lease, stop, console))
    return stages


def _search(
    storage: RDBStorage, name: str, prepared: Prepared, lease: Lease, stop: StopRequest, console: Console
) -> Stage:
    request = prepared.request
    points = first_points(storage, prepared.space, prepared.base, request.warm_start)  # before there is a study
    study = _opened(storage, name, prepared, lease, console)
    budget = Budget(study, (name, f"{name}{CONFIRM}"), stop, request.gpu_hours, request.patience, request.drain_seconds)
    plan = SearchPlan(
        study,
        prepared.space,
        prepared.base,
        _place(storage, prepared, lease, budget),
        prepared.num_trials,
        first_points=points,
        sampler=partial(make_sampler, request),
        batch=(request.concurrent or 1) if request.deterministic else None,
    )
    return Stage("search", study, plan, prepared.early, budget)


def _confirm(
    storage: RDBStorage, name: str, prepared: Prepared, lease: Lease, stop: StopRequest, console: Console
) -> Stage:
    request, folds = prepared.request, [fold.name for fold in prepared.splits.confirm]
    study = _opened(storage, f"{name}{CONFIRM}", prepared, lease, console)
    budget = Budget(study, (name, f"{name}{CONFIRM}"), stop, request.gpu_hours, None, request.drain_seconds)
    place = _place(storage, prepared, lease, budget)
    return Stage("confirm", study, ConfirmPlan(study, prepared.arms, prepared.num_seeds, folds, place), None, budget)


def _place(storage: RDBStorage, prepared: Prepared, lease: Lease, budget: Budget) -> Place:
    request, market = prepared.request, prepared.market
    return Place(
        runs=request.runs.resolve(),
        store=market.folder.resolve(),
        machine=Machine.of(read_settings(), request.resources.device),
        code=whole_provenance()["code"],
        provenance=kept_provenance(storage),
        driver=lease.owner,
        gpus=request.resources.gpus,
        resources=Packing(request.resources, market, gpu_memory_mib(), most_memory_mib()).place,
        market=market_number(storage, market),
        goal=prepared.goal,
        closed=lambda: budget.is_used_up,
        exclusively=lease.in_turn,
    )


def _opened(storage: RDBStorage, name: str, prepared: Prepared, lease: Lease, console: Console) -> StudyStore:
    """Opens a study, checks its definition, replays what waited for the store, adopts what a dead driver left."""
    directions = [StudyDirection[objective.direction.upper()] for objective in prepared.goal.objectives]
    directions = directions[:1] if name.endswith(CONFIRM) else directions
    study = StudyStore(storage, name, guard=lease.renew, directions=directions)
    adoption = Adoption(study, lease, prepared.request.runs.resolve() / name)
    if replayed := adoption.replay():
        console.print(f"{name}: {replayed} writes that waited for the store were replayed")
    adoption.adopt()  # before the definition may change, so that what is adopted is given up with the rest
    epochs, accept = prepared.base.train.epochs, prepared.request.accept_changes
    names = _names(study.study.user_attrs, prepared)
    for change in study.define(definition_of(name, prepared), epochs, accept, names):
        console.print(f"{name}: accepted {change}", markup=False, soft_wrap=True)
    if begun := [str(trial.number) for trial in study.waiting() if DRIVER in trial.user_attrs]:
        console.print(f"{name}: {counted(len(begun), 'interrupted trial')} to go on with: {', '.join(begun)}")
    _tell(study, prepared)
    return study


def definition_of(study: str, prepared: Prepared) -> dict[str, Any]:
    """What a stage's study is about, but for its budget."""
    common = {
        "space": {"name": prepared.space.name, "file": prepared.space_digest},
        "cells": prepared.market.meta.cells_key,
        "folds": folds_by_date(prepared.market, prepared.splits),
        "reference": _settings(prepared.base),
        "code": whole_provenance()["code"],
    }
    if study.endswith(CONFIRM):
        return common | {"stage": "confirm", "arms": {arm: _settings(each) for arm, each in prepared.arms.items()}}
    objectives = [objective.name for objective in prepared.goal.objectives]
    return common | {"stage": "search", "seed": prepared.request.seed, "objectives": objectives}


def refuse_other_definitions(storage: RDBStorage, name: str, prepared: Prepared) -> None:
    """What a start would refuse, found without writing.

    Raises:
        StorageError: a study of that name is about something else.
    """
    known = {study.study_name: study for study in storage.get_all_studies()}
    for stage, study in (("search", name), ("confirm", f"{name}{CONFIRM}")):
        if stage in prepared.request.stages and study in known and not prepared.request.accept_changes:
            has_trials = storage.get_n_trials(known[study]._study_id) > 0
            wanted = plain(definition_of(study, prepared), prepared.base.train.epochs)
            about = known[study].user_attrs
            refuse_changed(study, changes(about.get(DEFINITION), wanted, has_trials, _names(about, prepared)))


def _names(about: Mapping[str, Any], prepared: Prepared) -> dict[str, str]:
    """Of settings whose values are keys, what a reader knows them by; `about` is what the study said so far."""
    return {"cells": f"the data that trials see: {about.get('panel_name')} then, {prepared.panel.name} now"}


def _settings(config: TrialConfig) -> dict[str, Any]:
    """All that makes a configuration what it is; its number of epochs is a budget."""
    content = config.model_dump(mode="json", exclude={"seed", "fold", "arm"})
    del content["train"]["epochs"]
    return content


def _tell(study: StudyStore, prepared: Prepared) -> None:
    """Facts for reports and readers."""
    tell_facts(study, prepared.panel, prepared.market, prepared.splits, prepared.base)
    names = [objective.name for objective in prepared.goal.objectives]
    own = {
        "summary": prepared.space.summary,
        "objectives": names,
        "constraints_asked": [str(constraint) for constraint in prepared.goal.constraints],
        "reference_arm": REFERENCE,
        "arm_summaries": {arm: spec.summary for arm, spec in prepared.space.arms.items()},
        "sampler": prepared.request.sampler,
        "rungs": prepared.early.rungs if prepared.early else [],
    }
    for key, value in own.items():
        study.study.set_user_attr(key, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # since its version 3.2
        study.study.set_metric_names(names[: len(study.study.directions)])
