"""One sweep from request to outcome: search, confirm, report, export."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.storages import RDBStorage
from rich.console import Console

from reports.ablation import write_report
from reports.rungs import RungTrust, rung_trust
from search_spaces.space import REFERENCE
from storage.database import away_in_words, open_existing, open_storage
from storage.drain import Drain
from storage.lease import Lease
from storage.record import CONFIRM, TrialRecord, read_records, stages_of, to_frame
from storage.study import DEFINITION, StudyStore
from trial.cluster import cluster
from trial.driver import StageRun, run_stage
from trial.export import export_best
from trial.facts import kept_provenance, tell_facts, whole_provenance
from trial.live import Display
from trial.machine import Machine
from trial.notify import notify
from trial.plan import ConfirmPlan, Place, Plan, SearchPlan
from trial.request import Early, Prepared, SweepRequest, prepare_sweep
from trial.sampling import make_sampler
from trial.settings import read_settings
from trial.stopping import StopRequest, stopping_on_signals
from trial.worker import SweepTrial


@dataclass(frozen=True)
class SweepOutcome:
    """What a sweep leaves: studies, counts, the best trial and the files."""

    study: str
    counts: dict[str, dict[str, int]]  # study -> trials by state
    best: TrialRecord | None
    report: Path
    best_config: Path | None
    rungs: list[RungTrust]  # whether ASHA's cuts can be trusted
    storage_url: str
    stopped: str | None  # why it stopped early

    @property
    def records(self) -> pd.DataFrame:
        """One row per trial of every stage, as the store has them now: study, number, state, value, .., parameters."""
        storage = open_existing(self.storage_url)
        try:
            frames = [to_frame(read_records(storage, study)).assign(study=study) for study in self.counts]
        finally:
            storage.engine.dispose()
        whole = pd.concat(frames, ignore_index=True)
        return whole[["study", *(column for column in whole.columns if column != "study")]]


def run_sweep(request: SweepRequest, console: Console | None = None, worker: type[Any] = SweepTrial) -> SweepOutcome:
    """Runs, or continues, the sweep; quiet without a console.

    Raises:
        SpaceError, DataError, StorageError, ClusterError: as `prepare_sweep`, before anything starts.
    """
    console = console or Console(quiet=True)
    settings = read_settings()
    prepared = prepare_sweep(request, console)
    stop = StopRequest(request.time_budget_seconds)
    with cluster(request.address, request.resources, settings), stopping_on_signals(stop):  # Ray sets its own handlers
        if request.address:
            console.print(f"cluster: joined {request.address}; trials wait there for free CPUs")
        try:
            outcome = _run_stages(prepared, stop, console, worker)
        except Exception as error:  # told, then raised again: nothing is swallowed
            notify(settings, f"sweep {request.name or request.space}: failed", f"{type(error).__name__}: {error}")
            raise
    if stop.signal is None:  # who stopped it knows
        notify(settings, f"sweep {outcome.study}: {outcome.stopped or 'done'}", _in_words(outcome))
    return outcome


def _in_words(outcome: SweepOutcome) -> str:
    """What the webhook is told: trials by state, the best, where the report is."""
    counts = [
        f"{study} " + ", ".join(f"{n} {state}" for state, n in states.items() if n)
        for study, states in outcome.counts.items()
    ]
    best = f"best trial {outcome.best.number} {outcome.best.value:+.4f}" if outcome.best else "no best trial"
    return "; ".join([*counts, best, f"report {outcome.report}"])


@away_in_words()
def _run_stages(prepared: Prepared, stop: StopRequest, console: Console, worker: type[Any]) -> SweepOutcome:
    """Holds the lease on the study from its opening to the report."""
    storage = open_storage(prepared.request.storage_url)
    name = _study_name(storage, prepared, console)
    lease, drain = Lease(storage.engine, name), Drain(storage.engine, name)
    try:
        for stage in _open_stages(storage, name, prepared, lease):
            if stop.reason is None:
                _run(stage, prepared, lease, drain, stop, console, worker)
        return _finish(storage, name, prepared, stop, console)
    finally:
        lease.release()
        storage.engine.dispose()


@dataclass(frozen=True)
class Stage:
    title: str
    study: StudyStore
    plan: Plan
    early: Early | None


def _study_name(storage: RDBStorage, prepared: Prepared, console: Console) -> str:
    """The name asked for; or the space's, with the panel's added where a study of another panel has taken it.

    A panel is the same where its bytes are, or where trials see the same cells of it.
    """
    if prepared.request.name:
        return prepared.request.name
    meta, space = prepared.market.meta, prepared.space.name
    others = {
        study.study_name
        for study in storage.get_all_studies()
        if study.user_attrs.get("panel") != meta.panel_key
        and study.user_attrs.get(DEFINITION, {}).get("cells") != meta.cells_key
    }
    stem = re.sub(r"[^A-Za-z0-9._-]", "-", prepared.panel.stem)
    for name in (space, f"{space}-{stem}", f"{space}-{stem}-{meta.panel_key[:6]}"):
        if not {name, f"{name}{CONFIRM}"} & others:
            break
    if name != space:
        console.print(
            f"study: {space!r} in this store is about other data (another panel, or this one with other rows before "
            f"the hold-out), so this one is {name!r} (--name chooses)"
        )
    return name


def _open_stages(storage: RDBStorage, name: str, prepared: Prepared, lease: Lease) -> list[Stage]:
    request, settings = prepared.request, read_settings()
    place = Place(
        runs=request.runs.resolve(),
        store=prepared.market.folder.resolve(),
        machine=Machine.of(settings, request.resources.device),
        code=whole_provenance()["code"],
        provenance=kept_provenance(storage),
    )
    stages = []
    if "search" in request.stages:
        study = _open(storage, name, prepared, lease, {"stage": "search", "seed": request.seed})
        plan = SearchPlan(study, prepared.space, prepared.base, place, prepared.num_trials)
        stages.append(Stage("search", study, plan, prepared.early))
    if "confirm" in request.stages:
        folds = [fold.name for fold in prepared.splits.confirm]
        arms = {arm: config.hash for arm, config in prepared.arms.items()}
        study = _open(storage, f"{name}{CONFIRM}", prepared, lease, {"stage": "confirm", "arms": arms, "folds": folds})
        stages.append(
            Stage("confirm", study, ConfirmPlan(study, prepared.arms, prepared.num_seeds, folds, place), None)
        )
    return stages


def _open(storage: RDBStorage, name: str, prepared: Prepared, lease: Lease, more: dict[str, Any]) -> StudyStore:
    """Opens a study, gives it its sampler, and checks its definition."""
    study = StudyStore(storage, name, guard=lease.renew)
    study.study.sampler = make_sampler(prepared.request, len(study.study.get_trials(deepcopy=False)))
    meta, train = prepared.market.meta, prepared.base.train
    study.define(
        {
            "space": prepared.space.name,
            "cells": meta.cells_key,
            "epochs": train.epochs,
            "configuration": prepared.base.replace(seed=0).hash,
            **more,
        }
    )
    tell_facts(study, prepared.panel, prepared.market, prepared.splits, prepared.base)
    own = {
        "summary": prepared.space.summary,
        "objective": prepared.space.objective,
        "reference_arm": REFERENCE,
        "arm_summaries": {arm: spec.summary for arm, spec in prepared.space.arms.items()},
        "sampler": prepared.request.sampler,
        "rungs": prepared.early.rungs if prepared.early else [],
    }
    for key, value in own.items():
        study.study.set_user_attr(key, value)
    study.requeue_unfinished()
    return study


def _run(
    stage: Stage,
    prepared: Prepared,
    lease: Lease,
    drain: Drain,
    stop: StopRequest,
    console: Console,
    worker: type[Any],
) -> None:
    finished = stage.study.num_finished
    if finished >= stage.plan.target:
        console.print(f"{stage.title}: {finished} of {stage.plan.target} trials finished already")
        return
    request = prepared.request
    with Display(console, stage.title, stage.study, stage.plan.target, prepared.base.train.epochs) as display:
        run_stage(
            StageRun(
                study=stage.study,
                plan=stage.plan,
                lease=lease,
                drain=drain,
                early=stage.early,
                resources=request.resources,
                stop=stop,
                display=display,
                runs=request.runs.resolve(),
                worker=worker,
            )
        )


def _finish(storage: RDBStorage, name: str, prepared: Prepared, stop: StopRequest, console: Console) -> SweepOutcome:
    """Report and export from what the store holds, also after an early stop."""
    request = prepared.request
    studies = stages_of(storage, name)
    folder = request.runs / name
    best_path = folder / "best.yaml"
    best = export_best(storage, name, best_path) if name in studies else None
    report = folder / "report.html"
    rungs = prepared.early.rungs if prepared.early else []
    with console.status("writing the report"):
        write_report(storage, name, report)
    return SweepOutcome(
        study=name,
        counts={study: StudyStore(storage, study).counts() for study in studies},
        best=best,
        report=report,
        best_config=best_path if best else None,
        rungs=rung_trust(read_records(storage, name), rungs) if name in studies else [],
        storage_url=request.storage_url,
        stopped=stop.reason,
    )
