"""One sweep from request to outcome: search, confirm, report, export."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.storages import RDBStorage
from rich.console import Console

from data.findings import counted
from data.store import MarketStore
from reports.ablation import write_report
from reports.conclusion import Line, conclusion
from reports.evidence import read_evidence
from reports.rungs import RungTrust, rung_trust
from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from search_spaces.space import SearchSpace
from storage.costs import Cost, read_costs
from storage.database import Address, away_in_words, open_existing, open_storage
from storage.definition import DEFINITION
from storage.drain import Drain
from storage.errors import NoStoreError
from storage.lease import Lease, take_lease
from storage.names import CONFIRM, HOLDOUT, studies_of, sweep_of
from storage.record import TrialRecord, least_violations, read_records, stages_of, to_frame
from storage.study import StudyStore
from trial.backtest_rows import keep_backtest
from trial.best import export_best, read_config
from trial.cluster import cluster, room_for
from trial.definitions import refuse_other_definitions
from trial.driver import StageRun, run_stage
from trial.live import Display
from trial.notify import notify
from trial.order import Flight
from trial.proof import prove_shared
from trial.reference_rows import keep_reference, missing_references
from trial.refresh import ReportRefresh
from trial.request import Prepared, SweepRequest, prepare_sweep
from trial.settings import read_settings
from trial.stages import Stage, open_stages
from trial.stopping import StopRequest, stopping_on_signals
from trial.worker import SweepTrial


@dataclass(frozen=True)
class SweepOutcome:
    """What a sweep leaves: studies, counts, the best trial and the files."""

    study: str
    counts: dict[str, dict[str, int]]  # study -> trials by state
    best: TrialRecord | None
    report: Path
    config_path: Path | None  # of the best configuration, YAML
    rungs: list[RungTrust]  # whether ASHA's cuts can be trusted
    least_violations: dict[str, float]  # constraint -> by how much the nearest COMPLETE trial breaks it; at most 0: not
    costs: dict[str, Cost]  # study -> what it took
    storage_url: Address
    storage_option: str | None  # as it was given; None: the folder's own
    conclusion: list[Line]  # what it says, for people
    stopped: str | None  # why it stopped early

    @property
    def studies(self) -> dict[str, optuna.Study]:
        """Both stages' studies, to be looked at with Optuna's own means."""
        storage = open_existing(self.storage_url)
        return {name: optuna.load_study(study_name=name, storage=storage) for name in self.counts}

    @property
    def best_config(self) -> TrialConfig | None:
        """The whole configuration of the best search trial; None where none is COMPLETE."""
        return read_config(self.config_path) if self.config_path is not None else None

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


def run_sweep(
    request: SweepRequest | SearchSpace | str,
    console: Console | None = None,
    worker: type[Any] = SweepTrial,
    **options: Any,
) -> SweepOutcome:
    """Runs, or continues, the sweep; quiet without a console.

    Args:
        request: what to run; or a space or its name, with `options` as the fields of `SweepRequest`.
        console: that tells how far it is.
        worker: Ray's trainable; a test puts a faulty one in here.

    Raises:
        SpaceError, DataError, StorageError, ClusterError: as `prepare_sweep`, before anything starts.
    """
    if isinstance(request, str | SearchSpace):
        known = [each.name for each in fields(SweepRequest)]
        if unknown := [name for name in options if name not in known]:
            raise TypeError(f"run_sweep knows no {', '.join(unknown)}; its options are {', '.join(known[1:])}.")
        request = SweepRequest(space=request, **options)
    elif options:
        raise TypeError(f"run_sweep takes a SweepRequest or the name of a space with options, got both: {[*options]}.")
    console = console or Console(quiet=True)
    settings = read_settings()
    prepared = prepare_sweep(request, console)
    stop = StopRequest(request.time_budget_seconds)
    with cluster(request.address, request.resources, settings), stopping_on_signals(stop):  # Ray sets its own handlers
        if request.address:
            nodes = prove_shared(request.runs.resolve(), prepared.market)
            console.print(f"cluster: joined {request.address}; {counted(len(nodes), 'node')} see {request.runs}")
        try:
            outcome = _run_stages(prepared, stop, console, worker)
        except Exception as error:  # told, then raised again: nothing is swallowed
            notify(settings, f"sweep {request.name or prepared.space.name}: failed", f"{type(error).__name__}: {error}")
            raise
    if stop.signal is None:  # who stopped it knows
        notify(settings, f"sweep {outcome.study}: {outcome.stopped or 'done'}", _in_words(outcome))
    return outcome


def refuse_what_the_store_would(prepared: Prepared, console: Console) -> None:
    """For a dry run: whether the store's studies are about the same; nothing is written.

    Raises:
        StorageError: one is not.
    """
    try:
        storage = open_existing(prepared.request.storage_url)
    except NoStoreError:
        return
    try:
        refuse_other_definitions(storage, _study_name(storage, prepared, console), prepared)
    finally:
        storage.engine.dispose()


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
    lease, drain = take_lease(storage.engine, name, prepared.request.join), Drain(storage.engine, name)
    try:
        for stage in open_stages(storage, name, prepared, lease, stop, console):
            if stop.reason is None:
                run_to_target(stage, prepared.request, prepared.base.train.epochs, lease, drain, stop, console, worker)
        for asked in prepared.request.stages:
            if stop.reason is None:
                study = f"{name}{CONFIRM}" if asked == "confirm" else name
                keep_references(storage, study, prepared.base, prepared.market, stop, console)
        is_confirmed = "confirm" in prepared.request.stages and f"{name}{CONFIRM}" in stages_of(storage, name)
        if stop.reason is None and is_confirmed:
            keep_backtest(storage, name, prepared.market, prepared.request.runs)
        return _finish(storage, name, prepared, stop, console)
    finally:
        lease.release()
        storage.engine.dispose()


def _study_name(storage: RDBStorage, prepared: Prepared, console: Console) -> str:
    """The name asked for; or the space's, with the panel's added where a study of another panel has taken it.

    A panel is the same where its bytes are, or where trials see the same cells of it; a study that says neither yet is
    being made by another driver, and its definition will be compared.
    """
    if prepared.request.name:
        return prepared.request.name
    meta, space = prepared.market.meta, prepared.space.name
    others = {
        study.study_name
        for study in storage.get_all_studies()
        if not study.study_name.endswith(HOLDOUT)  # whose cells are more
        and study.user_attrs.get("panel", meta.panel_key) != meta.panel_key
        and study.user_attrs.get(DEFINITION, {}).get("cells") != meta.cells_key
    }
    stem = re.sub(r"[^A-Za-z0-9._-]", "-", prepared.panel.stem)
    for name in (space, f"{space}-{stem}", f"{space}-{stem}-{meta.panel_key[:6]}"):
        if not {*studies_of(name)} & others:
            break
    if name != space:
        console.print(
            f"study: {space!r} in this store is about other data (another panel, or this one with other rows before "
            f"the hold-out), so this one is {name!r} (--name chooses)"
        )
    return name


def run_to_target(
    stage: Stage,
    request: SweepRequest,
    epochs: int,
    lease: Lease,
    drain: Drain,
    stop: StopRequest,
    console: Console,
    worker: type[Any] = SweepTrial,
) -> None:
    """Runs a stage on the Ray that is there, until its plan has what it wants or `stop` asks.

    Args:
        stage: opened.
        request: where its trials run, and how many at once.
        epochs: of a full trial.
        lease, drain: of its sweep.
        stop: asks for an end.
        console: that shows how far it is.
        worker: Ray's trainable.
    """
    finished = stage.study.num_finished
    if finished >= stage.plan.target:
        console.print(f"{stage.title}: {finished} of {stage.plan.target} trials finished already")
        return
    sweep = sweep_of(stage.study.name)
    refresh = ReportRefresh(request.storage_url, sweep, request.runs / sweep / "report.html", stage.study)
    display = Display(console, stage.title, stage.study, stage.plan.target, epochs, stage.later)
    with closing(refresh), display:

        def watch(flights: Mapping[str, Flight]) -> None:
            display.target = stage.plan.target  # seeds may be added
            stage.budget.look(flights.values())
            refresh.look()

        run_stage(
            StageRun(
                study=stage.study,
                plan=stage.plan,
                lease=lease,
                drain=drain,
                early=stage.early,
                stop=stop,
                display=display,
                runs=request.runs.resolve(),
                room=room_for(request.resources),
                concurrent=request.concurrent,
                worker=worker,
                watch=watch,
            )
        )
    if stage.budget.reason:
        console.print(f"{stage.title}: {stage.budget.reason}", markup=False)


def keep_references(
    storage: RDBStorage, study: str, config: TrialConfig, market: MarketStore, stop: StopRequest, console: Console
) -> None:
    """What a network has to beat, on the same days; fitted here, one after the other, where the store lacks them."""
    wanted = list(missing_references(storage, study, config, market))
    for place, (name, fold, key) in enumerate(wanted, start=1):
        if stop.reason is not None:
            return
        days = "the hold-out" if study.endswith(HOLDOUT) else fold
        console.print(f"references: {place} of {len(wanted)}, {name} on {days}")
        try:
            keep_reference(storage, study, name, fold, key, config, market)
        except SpaceError as error:  # too few days for this one: the sweep's own results do not depend on it
            console.print(f"references: {name} on {fold} is left out: {error}", markup=False)


def _finish(storage: RDBStorage, name: str, prepared: Prepared, stop: StopRequest, console: Console) -> SweepOutcome:
    """Report and export from what the store holds, also after an early stop."""
    request = prepared.request
    studies = stages_of(storage, name)
    folder = request.runs / name
    best_path = folder / "best.yaml"
    best = export_best(storage, name, best_path) if name in studies else None
    report = folder / "report.html"
    rungs = prepared.early.rungs if prepared.early and name in studies else []
    records = read_records(storage, name) if name in studies else []
    with console.status("writing the report"):
        write_report(storage, name, report)
    return SweepOutcome(
        study=name,
        counts={study: StudyStore(storage, study).counts() for study in studies},
        best=best,
        report=report,
        config_path=best_path if best else None,
        rungs=rung_trust(records, rungs),
        least_violations=least_violations(records),
        costs=read_costs(storage.engine, studies),
        conclusion=conclusion(read_evidence(storage, name)),
        storage_url=request.storage_url,
        storage_option=request.storage,
        stopped=stop.reason,
    )
