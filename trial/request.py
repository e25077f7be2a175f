"""What a sweep is asked for, checked whole: space, market, folds, arms. Nothing has been started yet."""

from __future__ import annotations

import math
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from data.config import DataConfig
from data.loader import left_out
from data.prepare import prepare
from data.progress import Shown
from data.settings import read_data_config, suited
from data.splits import Splits, prove_purged
from data.store import MarketStore
from data.synthetic import SyntheticConfig, synthetic_panel
from data.workspace import make_folder
from search_spaces import digest_of, find_space
from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from search_spaces.objectives import find_objectives, parse_constraint
from search_spaces.space import DEMO, Budget, SearchSpace
from search_spaces.train import weights_for
from storage.address import store_of
from storage.database import Address, check_reachable, check_url, open_existing
from storage.errors import StorageError
from storage.lease import check_joinable
from storage.names import sweep_of
from storage.record import load_study
from trial.cell_plan import MAX_SEEDS
from trial.duration import in_units
from trial.order import Goal
from trial.resources import Resources, check_cluster
from trial.settings import read_settings
from trial.tracking import refuse_missing_trackers
from trial.tuning import MAX_DRAWS, TUNE_SEEDS, quasi_random_points

SamplerName = Literal["tpe", "random", "qmc"]
SchedulerName = Literal["asha", "none"]
STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class SweepRequest:
    """What the command line, or a notebook, asks for; None takes the space's default."""

    space: str | SearchSpace  # name, Python file, or the space itself
    panel: Path | None = None  # None: the synthetic market
    data_config: Path | None = None  # YAML of the data settings
    runs: Path = Path("runs")
    storage: str | None = None  # None: sqlite:///<runs>/sweeps.db
    name: str | None = None  # study; None: the space's name
    stages: tuple[str, ...] = ("search", "confirm")
    trials: int | None = None
    epochs: int | None = None
    seeds: int | None = None  # per confirm arm and fold; None: the space's, and more as precision asks
    arms: tuple[str, ...] | None = None  # to tune and confirm, the first four retuned; None: the space's
    draws: int | None = None  # points that the reference and each retuned arm try; 0: no arm is retuned
    time_budget_seconds: float | None = None
    seed: int = 0
    sampler: SamplerName = "tpe"
    scheduler: SchedulerName | None = None  # of the search
    resources: Resources = field(default_factory=Resources)
    address: str | None = None
    objectives: tuple[str, ...] | None = None  # RankIC first
    constraints: tuple[str, ...] | None = None  # such as turnover<=0.5
    warm_start: tuple[str, ...] = ()  # studies whose best are tried first
    gpu_hours: float | None = None
    patience: int | None = None  # search trials in a row without a better one
    drain_seconds: float = 0.0  # before the end of the time budget in which no trial starts
    concurrent: int | None = None  # trials at once, at most
    deterministic: bool = False  # asks and tells in rounds, so that equal seeds give equal studies
    accept_changes: bool = False  # of the study's definition
    join: bool = False  # beside a living driver
    command: tuple[str, ...] = ()  # the words of the command line, where there was one

    def __post_init__(self) -> None:
        """A notebook writes paths as text."""
        for name in ("panel", "data_config", "runs"):
            if isinstance(path := getattr(self, name), str):
                object.__setattr__(self, name, Path(path))

    @property
    def storage_url(self) -> Address:
        return store_of(self.storage, self.runs)


@dataclass(frozen=True)
class Early:
    """Settings of ASHA; absent in confirm, where it would be biased against slow starters."""

    epochs: int
    grace: int
    reduction_factor: int

    @property
    def rungs(self) -> list[int]:
        """Epochs after which it cuts."""
        found, epoch = [], self.grace
        while epoch < self.epochs:
            found.append(epoch)
            epoch *= self.reduction_factor
        return found


@dataclass(frozen=True)
class Prepared:
    """A request that has passed every check; nothing has been started yet."""

    request: SweepRequest
    space: SearchSpace
    space_digest: str | None  # of the file that defines it, where a path was given
    panel: Path
    market: MarketStore
    splits: Splits
    base: TrialConfig  # the space's reference on this market and budget
    arms: dict[str, TrialConfig]  # and the reference, before any tuning
    points: list[dict[str, Any]]  # that the reference and the retuned arms try
    tuned: dict[str, list[TrialConfig]]  # at every point; empty where nothing is retuned
    num_trials: int
    num_seeds: int
    goal: Goal

    @property
    def num_at_once(self) -> int:
        """Trials that this machine has room for; of a cluster, whose nodes are not known yet, as many as CPUs here."""
        fit = max(1, math.floor((os.cpu_count() or 1) / self.request.resources.cpus))
        return min(fit, self.request.concurrent or fit, self.num_trials)

    @property
    def may_add_seeds(self) -> bool:
        """As the precision of the confirmed effects asks for."""
        return self.request.seeds is None and self.request.panel is not None

    @property
    def num_tunings(self) -> int:
        """Trials of the tuning: arm x draw x seed."""
        return len(self.tuned) * len(self.points) * TUNE_SEEDS

    @property
    def num_cells(self) -> int:
        """Trials of the confirm stage, arm x seed x fold, as far as they are known: retuned arms count twice, and no
        seed is added."""
        twins = len(self.tuned) - 1 if self.tuned else 0
        return (len(self.arms) + twins) * self.num_seeds * len(self.splits.confirm)

    @property
    def num_asked(self) -> int:
        """Trials of all stages that are asked for, as far as they are known."""
        stages = self.request.stages
        return self.num_trials * ("search" in stages) + (self.num_tunings + self.num_cells) * ("confirm" in stages)

    @property
    def early(self) -> Early | None:
        """ASHA's rungs: the first cut after at least one full pass over the training days."""
        scheduler, train = self.space.scheduler, self.base.train
        if (self.request.scheduler or scheduler.kind) == "none":
            return None
        grace = math.ceil(len(self.splits.search.train) / min(train.days_per_epoch, len(self.splits.search.train)))
        return Early(train.epochs, min(grace, train.epochs), scheduler.reduction_factor)


def prepare_sweep(request: SweepRequest, console: Console) -> Prepared:
    """Checks everything that can be wrong, preparing the market on the way; a refusal leaves nothing behind.

    Raises:
        SpaceError, DataError, StorageError, ClusterError: with the law, the offence and the way out.
    """
    space = find_space(request.space)
    _check_numbers(request)
    goal = _goal(request, space)
    settings = read_settings()
    refuse_missing_trackers(settings.tensorboard, settings.wandb)
    check_reachable(request.storage_url)
    check_cluster(request.address, request.resources)
    _check_warm_start(request)
    with removed_where_refused(request.runs):
        return _prepare(request, space, goal, console)


def _check_numbers(request: SweepRequest) -> None:
    if request.name is not None and (not STUDY_NAME.fullmatch(request.name) or sweep_of(request.name) != request.name):
        raise SpaceError(
            f"--name must be letters, digits, '.', '_' or '-', and not end in .tune, .confirm or .holdout, got "
            f"{request.name!r}: it names a folder under --runs."
        )
    for option, value in (
        ("--trials", request.trials),
        ("--epochs", request.epochs),
        ("--seeds", request.seeds),
        ("--patience", request.patience),
        ("--concurrent", request.concurrent),
    ):
        if value is not None and value < 1:
            raise SpaceError(f"{option} must be at least 1, got {value}.")
    if request.seeds is not None and request.seeds > MAX_SEEDS:
        raise SpaceError(f"--seeds must be at most {MAX_SEEDS}, got {request.seeds}.")
    if request.draws is not None and not 0 <= request.draws <= MAX_DRAWS:
        raise SpaceError(f"--draws must be 0 to {MAX_DRAWS}, got {request.draws}.")
    _check_budgets(request)
    url = check_url(request.storage_url)
    if request.join:
        check_joinable(url.get_backend_name())


def _check_warm_start(request: SweepRequest) -> None:
    """The studies must be there; whether their trials fit is seen once the market is known."""
    if not request.warm_start:
        return
    try:
        storage = open_existing(request.storage_url)
        try:
            for name in request.warm_start:
                load_study(storage, name)
        finally:
            storage.engine.dispose()
    except StorageError as error:
        raise SpaceError(f"--warm-start must name studies of this store: {error}") from None


def _check_budgets(request: SweepRequest) -> None:
    if request.gpu_hours is not None and (request.gpu_hours <= 0 or request.resources.gpus == 0):
        raise SpaceError(
            f"--gpu-hours must be positive and trials must take GPUs, but it is {request.gpu_hours:g} with "
            f"--gpus-per-trial {request.resources.gpus:g}. Use --time-budget on CPUs."
        )
    budget = request.time_budget_seconds
    if request.drain_seconds and (budget is None or request.drain_seconds >= budget):
        told = "there is none. Give both" if budget is None else f"that is {in_units(budget)}: no trial would start"
        raise SpaceError(
            f"--drain must be shorter than --time-budget; it is {in_units(request.drain_seconds)}, and {told}."
        )


def _check_order(request: SweepRequest, early: Early | None) -> None:
    if request.deterministic and early is not None and (request.concurrent or 1) > 1:
        raise SpaceError(
            "--deterministic with several trials at once needs --scheduler none, because ASHA's cuts depend on which "
            "result comes first. Leave out --concurrent, or add --scheduler none."
        )


@contextmanager
def removed_where_refused(runs: Path) -> Iterator[None]:
    """Makes the folder; after a refusal it is gone again, where it was not there before."""
    try:
        made = make_folder(runs)
    except OSError as error:
        raise SpaceError(
            f"--runs must be a folder that can be made and written, but {runs} is not: {error}."
        ) from error
    try:
        yield
    except BaseException:
        if made:
            shutil.rmtree(made[-1], ignore_errors=True)
        raise


def _prepare(request: SweepRequest, space: SearchSpace, goal: Goal, console: Console) -> Prepared:
    panel = request.panel or synthetic_panel(request.runs / "synthetic", SyntheticConfig())
    reference = space.reference.data.model_copy()
    given = read_data_config(request.data_config, DataConfig.model_validate(reference.model_dump(exclude_unset=True)))
    assert given is not None, "there is a base"
    data = suited(given, panel)
    budget = _budget(request, space)
    weights = weights_for(len(data.horizons), space.reference.train.horizon_weights)
    changes = {"data": data, "train.horizon_weights": weights, "train.epochs": budget.epochs, "seed": request.seed}
    base = space.reference.replace(**changes)
    # what is wrong with it is said before the market is prepared
    (space if space.suit else _with_arms(space, request)).arm_configs(base)
    market = prepare(panel, request.runs / "prepared", data, Shown(console), read_settings().prepare_memory_mib)
    space = _with_arms(space.suited(market.meta.features, data), request)
    arms = space.arm_configs(base)
    points = quasi_random_points(space.knobs, budget.draws, request.seed)
    tuned = space.tuned(base, points) if points else {}
    for config in (base, *arms.values()):
        left_out(market.meta.features, config.data.leave_out)
    splits = market.splits(data)
    prove_purged(splits, data)
    for sentence in (*market.meta.doubts, *splits.doubts):
        console.print(f"doubt: {sentence}")
    prepared = Prepared(
        request=request,
        space=space,
        space_digest=digest_of(request.space),
        panel=panel,
        market=market,
        splits=splits,
        base=base,
        arms=arms,
        points=points,
        tuned=tuned,
        num_trials=budget.trials,
        num_seeds=budget.seeds,
        goal=goal,
    )
    _check_order(request, prepared.early)
    return prepared


def _with_arms(space: SearchSpace, request: SweepRequest) -> SearchSpace:
    return space if request.arms is None else space.with_arms(request.arms)


def _budget(request: SweepRequest, space: SearchSpace) -> Budget:
    """The space's where nothing else is asked for; the demo has fewer epochs, draws and seeds."""
    usual = space.budget if request.panel is not None else replace(DEMO, trials=space.budget.trials)
    asked = {name: getattr(request, name) for name in ("trials", "epochs", "seeds", "draws")}
    return replace(usual, **{name: number for name, number in asked.items() if number is not None})


def _goal(request: SweepRequest, space: SearchSpace) -> Goal:
    """What the request asks for; None takes the space's default."""
    constraints = space.constraints if request.constraints is None else request.constraints
    return Goal(
        find_objectives(space.objectives if request.objectives is None else request.objectives),
        tuple(parse_constraint(text) for text in constraints),
    )
