"""One sweep from request to outcome: validate everything, then search, confirm, report, export."""

from __future__ import annotations

import math
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from rich.console import Console

from data.config import DataConfig
from data.prepare import prepare
from data.progress import Shown
from data.settings import read_data_config, suited
from data.splits import Splits, prove_purged
from data.store import MarketStore
from data.synthetic import SyntheticConfig, synthetic_panel
from reports.ablation import write_report
from search_spaces import find_space
from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from search_spaces.space import REFERENCE, SearchSpace
from search_spaces.train import weights_for
from storage.database import check_reachable, check_url, open_storage
from storage.lease import Lease
from storage.provenance import code_hash, provenance
from storage.record import TrialRecord
from storage.study import DEFINITION, StudyStore
from trial.cluster import Resources, check_cluster, cluster
from trial.driver import Early, run_stage
from trial.export import export_best
from trial.live import Display
from trial.plan import MAX_SEEDS, ConfirmPlan, Place, Plan, SearchPlan
from trial.settings import read_settings
from trial.stop import StopRequest, stopping_on_signals
from trial.worker import SweepTrial

ROOT = Path(__file__).resolve().parent.parent
STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class SweepRequest:
    """What the command line, or a notebook, asks for; None takes the space's default."""

    space: str
    panel: Path | None = None  # None: the synthetic market
    data_config: Path | None = None  # YAML of the data settings
    runs: Path = Path("runs")
    storage: str | None = None  # None: sqlite:///<runs>/sweeps.db
    name: str | None = None  # study; None: the space's name
    stages: tuple[str, ...] = ("search", "confirm")
    trials: int | None = None
    epochs: int | None = None
    seeds: int | None = None
    time_budget_seconds: float | None = None
    seed: int = 0
    resources: Resources = field(default_factory=Resources)
    address: str | None = None

    @property
    def storage_url(self) -> str:
        return f"sqlite:///{self.runs}/sweeps.db" if self.storage is None else self.storage


@dataclass(frozen=True)
class Prepared:
    """A request that has passed every check; nothing has been started yet."""

    request: SweepRequest
    space: SearchSpace
    panel: Path
    market: MarketStore
    splits: Splits
    base: TrialConfig  # the space's reference on this market and budget
    arms: dict[str, TrialConfig]
    num_trials: int
    num_seeds: int

    @property
    def early(self) -> Early | None:
        """ASHA's rungs: the first cut after at least one full pass over the training days."""
        scheduler, train = self.space.scheduler, self.base.train
        if scheduler.kind == "none":
            return None
        grace = math.ceil(len(self.splits.search.train) / min(train.days_per_epoch, len(self.splits.search.train)))
        return Early(train.epochs, min(grace, train.epochs), scheduler.reduction_factor)


@dataclass(frozen=True)
class SweepOutcome:
    """What a sweep leaves: studies, counts, the best trial and the files."""

    study: str
    counts: dict[str, dict[str, int]]  # study -> trials by state
    best: TrialRecord | None
    report: Path
    best_config: Path | None
    storage_url: str
    stopped: str | None  # why it stopped early


def prepare_sweep(request: SweepRequest, console: Console) -> Prepared:
    """Checks everything that can be wrong, preparing the market on the way; a refusal leaves nothing behind.

    Raises:
        SpaceError, DataError, StorageError, ClusterError: with the law, the offence and the way out.
    """
    space = find_space(request.space)
    _check_numbers(request)
    read_settings()
    check_reachable(request.storage_url)
    check_cluster(request.address, request.resources)
    first_made = _make_runs(request.runs)
    try:
        return _prepare(request, space, console)
    except BaseException:
        if first_made is not None:
            shutil.rmtree(first_made, ignore_errors=True)
        raise


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
        return _run_stages(prepared, stop, console, worker)


def _run_stages(prepared: Prepared, stop: StopRequest, console: Console, worker: type[Any]) -> SweepOutcome:
    """Holds the lease on the study from its opening to the report."""
    storage = open_storage(prepared.request.storage_url)
    name = _study_name(storage, prepared, console)
    lease = Lease(storage.engine, name)
    try:
        for stage in _open_stages(storage, name, prepared):
            if stop.reason is None:
                _run(stage, prepared, lease, stop, console, worker)
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


def _make_runs(runs: Path) -> Path | None:
    """Makes the folder; returns the topmost one that was not there, to be removed again after a refusal."""
    made = [folder for folder in (runs, *runs.parents) if not folder.exists()]
    try:
        runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpaceError(
            f"--runs must be a folder that can be made and written, but {runs} is not: {error}."
        ) from error
    return made[-1] if made else None


def _check_numbers(request: SweepRequest) -> None:
    if request.name is not None and (not STUDY_NAME.fullmatch(request.name) or request.name.endswith(".confirm")):
        raise SpaceError(
            f"--name must be letters, digits, '.', '_' or '-', and not end in .confirm, got {request.name!r}: it names "
            f"a folder under --runs."
        )
    for option, value in (
        ("--trials", request.trials),
        ("--epochs", request.epochs),
        ("--seeds", request.seeds),
    ):
        if value is not None and value < 1:
            raise SpaceError(f"{option} must be at least 1, got {value}.")
    if request.seeds is not None and request.seeds > MAX_SEEDS:
        raise SpaceError(f"--seeds must be at most {MAX_SEEDS}, got {request.seeds}.")
    check_url(request.storage_url)


def _prepare(request: SweepRequest, space: SearchSpace, console: Console) -> Prepared:
    panel = request.panel or synthetic_panel(request.runs / "synthetic", SyntheticConfig())
    reference = space.reference.data.model_copy()
    given = read_data_config(request.data_config, DataConfig.model_validate(reference.model_dump(exclude_unset=True)))
    assert given is not None, "there is a base"
    data = suited(given, panel)
    market = prepare(panel, request.runs / "prepared", data, Shown(console), read_settings().prepare_memory_mib)
    splits = market.splits(data)
    prove_purged(splits, data)
    _tell_market(market, data, console)
    epochs = request.epochs or space.budget.epochs
    weights = weights_for(len(data.horizons), space.reference.train.horizon_weights)
    changes = {"data": data, "train.horizon_weights": weights, "train.epochs": epochs, "seed": request.seed}
    base = space.reference.replace(**changes)
    return Prepared(
        request=request,
        space=space,
        panel=panel,
        market=market,
        splits=splits,
        base=base,
        arms=space.arm_configs(base),
        num_trials=request.trials or space.budget.trials,
        num_seeds=request.seeds or space.budget.seeds,
    )


def _tell_market(market: MarketStore, data: DataConfig, console: Console) -> None:
    """What the user should know of the market before trials run on it."""
    for sentence in market.meta.doubts:
        console.print(f"doubt: {sentence}")
    if graphs := market.graphs(data.graph):
        console.print(f"data: neighbour graphs of mean degree {graphs.mean_degree:.1f}")


def _study_name(storage: RDBStorage, prepared: Prepared, console: Console) -> str:
    """The name asked for; or the space's, with the panel's added where another market has taken it."""
    if prepared.request.name:
        return prepared.request.name
    ours, space = prepared.market.meta.panel_key, prepared.space.name
    panels = {
        study.study_name: study.user_attrs.get(DEFINITION, {}).get("panel") for study in storage.get_all_studies()
    }
    stem = re.sub(r"[^A-Za-z0-9._-]", "-", prepared.panel.stem)
    for name in (space, f"{space}-{stem}", f"{space}-{stem}-{ours[:6]}"):
        if panels.get(name, ours) == ours and panels.get(f"{name}.confirm", ours) == ours:
            break
    if name != space:
        console.print(
            f"study: {space!r} in this store belongs to another market, so this one is {name!r} (--name chooses)"
        )
    return name


def _open_stages(storage: RDBStorage, name: str, prepared: Prepared) -> list[Stage]:
    request, settings = prepared.request, read_settings()
    place = Place(
        runs=request.runs.resolve(),
        store=prepared.market.folder.resolve(),
        device=request.resources.device,
        threads=settings.threads_per_trial,
        code=code_hash(ROOT),
    )
    stages = []
    if "search" in request.stages:
        study = _open(storage, name, prepared, {"stage": "search", "seed": request.seed})
        plan = SearchPlan(study, prepared.space, prepared.base, place, prepared.num_trials)
        stages.append(Stage("search", study, plan, prepared.early))
    if "confirm" in request.stages:
        folds = [fold.name for fold in prepared.splits.confirm]
        arms = {arm: config.hash for arm, config in prepared.arms.items()}
        study = _open(storage, f"{name}.confirm", prepared, {"stage": "confirm", "arms": arms, "folds": folds})
        stages.append(
            Stage("confirm", study, ConfirmPlan(study, prepared.arms, prepared.num_seeds, folds, place), None)
        )
    return stages


def _open(storage: RDBStorage, name: str, prepared: Prepared, more: dict[str, Any]) -> StudyStore:
    """Opens a study with a sampler that never repeats the draws of an earlier start, and checks its definition."""
    study = StudyStore(storage, name)
    seed = prepared.request.seed * 1_000_003 + len(study.study.get_trials(deepcopy=False))
    study.study.sampler = optuna.samplers.TPESampler(seed=seed % 2**32, n_startup_trials=8, constant_liar=True)
    meta, train = prepared.market.meta, prepared.base.train
    study.define(
        {
            "space": prepared.space.name,
            "panel": meta.panel_key,
            "store": meta.store_key,
            "epochs": train.epochs,
            "configuration": prepared.base.replace(seed=0).hash,
            **more,
        }
    )
    graphs = prepared.market.graphs(prepared.base.data.graph)
    about = {
        "summary": prepared.space.summary,
        "objective": prepared.space.objective,
        "panel_name": prepared.panel.name,
        "market": meta.market,
        "doubts": meta.doubts,
        "mean_degree": graphs.mean_degree if graphs else None,
        "num_stocks": len(meta.codes),
        "holdout_from": meta.holdout_from,
        "folds_by_date": _folds_by_date(prepared),
        "horizons": meta.horizons,
        "horizon_weights": list(train.horizon_weights),
        "reference_arm": REFERENCE,
        "arm_summaries": {arm: spec.summary for arm, spec in prepared.space.arms.items()},
        "grace_epochs": prepared.early.grace if prepared.early else None,
        "provenance": provenance(ROOT),
    }
    for key, value in about.items():
        study.study.set_user_attr(key, value)
    study.requeue_unfinished()
    return study


def _folds_by_date(prepared: Prepared) -> dict[str, list[str]]:
    dates = prepared.market.meta.dates
    return {
        fold.name: [dates[fold.train[0]], dates[fold.train[-1]], dates[fold.score[0]], dates[fold.score[-1]]]
        for fold in prepared.splits.folds
    }


def _run(
    stage: Stage, prepared: Prepared, lease: Lease, stop: StopRequest, console: Console, worker: type[Any]
) -> None:
    finished = stage.study.num_finished
    if finished >= stage.plan.target:
        console.print(f"{stage.title}: {finished} of {stage.plan.target} trials finished already")
        return
    request = prepared.request
    with Display(console, stage.title, stage.study, stage.plan.target, prepared.base.train.epochs) as display:
        run_stage(
            stage.study,
            stage.plan,
            lease,
            stage.early,
            request.resources,
            stop,
            display,
            request.runs.resolve(),
            worker,
        )


def _finish(storage: RDBStorage, name: str, prepared: Prepared, stop: StopRequest, console: Console) -> SweepOutcome:
    """Report and export from what the store holds, also after an early stop."""
    request = prepared.request
    existing = [study.study_name for study in storage.get_all_studies()]
    studies = [study for study in (name, f"{name}.confirm") if study in existing]
    folder = request.runs / name
    best_path = folder / "best.yaml"
    best = export_best(storage, name, best_path) if name in studies else None
    report = folder / "report.html"
    with console.status("writing the report"):
        write_report(storage, name, report)
    return SweepOutcome(
        study=name,
        counts={study: StudyStore(storage, study).counts() for study in studies},
        best=best,
        report=report,
        best_config=best_path if best else None,
        storage_url=request.storage_url,
        stopped=stop.reason,
    )
