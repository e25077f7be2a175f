"""What a stage asks for next: search draws from the space, confirm walks the cells arm x seed x fold."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from search_spaces.config import TrialConfig, validated
from search_spaces.space import SearchSpace
from storage.draft import draft
from storage.study import StudyStore
from trial.keeper import CHECKPOINT
from trial.machine import Machine
from trial.order import Flight, Goal, Outcome, TrialOrder
from trial.recording import finish, judge_known

MAX_SEEDS = 20  # the seeds that confirm may draw from: a categorical parameter keeps its choices for ever

KNOWN_FAILURE = "known_failure"
FOR_GOOD = ("error", "oom", "crash", "hung")  # reasons of a FAIL that would come again


class Plan(Protocol):
    """What the searcher needs of a stage."""

    study: StudyStore
    target: int

    def next_flight(self) -> Flight | None:
        """The next order; None when the stage has asked for all it wants, or must wait for what is under way."""
        ...

    @property
    def asked(self) -> Sequence[Flight]:
        """What was asked and is not handed out yet."""
        ...

    def give_back(self) -> list[Flight]:
        """After a run: the same, which is then forgotten."""
        ...

    def note_failure(self, flight: Flight) -> None:
        """A trial is a FAIL."""
        ...


@dataclass(frozen=True)
class Place:
    """Where a stage's trials run and write, and what they are judged by."""

    runs: Path
    store: Path
    machine: Machine
    code: str  # hash of the product's source
    provenance: str  # key of code, packages and hardware in the store
    driver: str = ""  # who asks: the lease's owner
    gpus: float = 0.0  # per trial
    resources: Callable[[TrialConfig], dict[str, float]] = lambda config: {"CPU": 1.0}  # that a trial is placed by
    market: int | None = None  # by which the ledger knows it
    goal: Goal = field(default_factory=Goal)
    closed: Callable[[], bool] = lambda: False  # whether a budget is used up: nothing more is asked
    exclusively: Callable[[], AbstractContextManager[None]] = nullcontext  # held from an ask to its first attributes


class SearchPlan:
    """Draws until `target` trials are finished or in flight; waiting ones of earlier drivers come first.

    Args:
        study: to ask.
        space: to draw from.
        base: the configuration that draws change.
        place: where trials run.
        target: finished trials to reach.
        first_points: to try before anything is drawn, in a study that has no trial yet.
        sampler: of the trial of a number: equal seeds draw equally, in one run or in several.
        batch: trials that are asked together and all finished before the next are asked; None: as workers get free.
    """

    def __init__(
        self,
        study: StudyStore,
        space: SearchSpace,
        base: TrialConfig,
        place: Place,
        target: int,
        first_points: Sequence[Mapping[str, Any]] = (),
        sampler: Callable[[int], BaseSampler] | None = None,
        batch: int | None = None,
    ) -> None:
        self.study, self.space, self.base, self.place, self.target = study, space, base, place, target
        self._sampler, self._batch, self._asked = sampler, batch, deque[Flight]()
        self._failed = known_failures(study, place.code)
        if not study.study.get_trials(deepcopy=False):
            for point in first_points:
                study.study.enqueue_trial(dict(point), skip_if_exists=True)

    def next_flight(self) -> Flight | None:
        if self._asked:
            return self._asked.popleft()
        if self._batch is None:
            return self._ask()
        if self.study.counts()[TrialState.RUNNING.name]:
            return None
        self._asked.extend(flight for flight in (self._ask() for _ in range(self._batch)) if flight is not None)
        return self._asked.popleft() if self._asked else None

    @property
    def asked(self) -> Sequence[Flight]:
        return self._asked

    def give_back(self) -> list[Flight]:
        left = list(self._asked)
        self._asked.clear()
        return left

    def _ask(self) -> Flight | None:
        """A configuration that is known to fail is told so and not tried; the next one is asked."""
        while (flight := first_open(self.study, self._draw)) is not None:
            if (earlier := self._failed.get(flight.order.config.resumable_hash)) is None:
                return flight
            sentence = f"the same configuration, seed and code failed as trial {earlier}; it was not tried again"
            flight.outcome = Outcome(TrialState.FAIL, KNOWN_FAILURE, sentence)
            finish(self.study, flight)
        return None

    def note_failure(self, flight: Flight) -> None:
        """A trial that failed for good: its configuration is not tried again."""
        if flight.outcome is not None and flight.outcome.reason in FOR_GOOD:
            self._failed[flight.order.config.resumable_hash] = flight.order.number

    def _draw(self) -> Flight | None:
        if self.place.closed():
            return None
        with self.place.exclusively():
            counts = self.study.counts()
            waiting = counts[TrialState.WAITING.name]
            if sum(counts.values()) - waiting >= self.target:
                return None
            trial = draft(self.study.ask(some_wait=waiting > 0))
            if self._sampler is not None:  # what is drawn follows from the number, also where it is asked a second time
                self.study.study.sampler = self._sampler(trial.number)
            return start_flight(self.study, trial, self.space.sample(trial, self.base), self.place)


class ConfirmPlan:
    """Every arm on the same seeds and folds, at full budget; seeds outermost, so that early results are pairs."""

    def __init__(
        self, study: StudyStore, arms: Mapping[str, TrialConfig], seeds: int, folds: list[str], place: Place
    ) -> None:
        self.study, self.arms, self.place = study, arms, place
        self.distributions = {
            "arm": CategoricalDistribution(list(arms)),
            "seed": CategoricalDistribution(list(range(MAX_SEEDS))),
            "fold": CategoricalDistribution(folds),
        }
        self.cells = [
            {"arm": arm, "seed": seed, "fold": fold} for seed, fold, arm in itertools.product(range(seeds), folds, arms)
        ]
        self.target = len(self.cells)

    def next_flight(self) -> Flight | None:
        return first_open(self.study, self._next_cell)

    def _next_cell(self) -> Flight | None:
        if self.place.closed():
            return None
        with self.place.exclusively():
            trials = self.study.study.get_trials(deepcopy=False)
            taken = [_cell(trial) for trial in trials]
            free = [cell for cell in self.cells if cell not in taken]
            if not free and all(trial.state is not TrialState.WAITING for trial in trials):
                return None
            trial = draft(self.study.ask(free[0] if free else None))
            for name, distribution in self.distributions.items():
                trial.suggest_categorical(name, distribution.choices)
            seed, fold = trial.params["seed"], trial.params["fold"]
            config = self.arms[trial.params["arm"]].replace(seed=seed, fold=fold)
            return start_flight(self.study, trial, config, self.place)

    @property
    def asked(self) -> Sequence[Flight]:
        return ()

    def give_back(self) -> list[Flight]:
        return []

    def note_failure(self, flight: Flight) -> None:
        """Cells are all different: none is tried twice."""


def first_open(study: StudyStore, draw: Callable[[], Flight | None]) -> Flight | None:
    """The next one that has anything left to do; those whose last epoch the store has already are told."""
    while (flight := draw()) is not None and judge_known(flight):
        finish(study, flight)
    return flight


def known_failures(study: StudyStore, code: str) -> dict[str, int]:
    """The resumable hash of what failed for good under this code -> the trial's number."""
    failed = study.study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
    told = [(trial.user_attrs, trial.number) for trial in failed]
    return {of["resumable_hash"]: n for of, n in told if of.get("code") == code and of.get("reason") in FOR_GOOD}


def _cell(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """The cell of a trial, also of one that was enqueued and never started."""
    fixed = trial.system_attrs.get("fixed_params", {})
    return {name: trial.params.get(name, fixed.get(name)) for name in ("arm", "seed", "fold")}


def start_flight(study: StudyStore, trial: optuna.Trial, config: TrialConfig, place: Place) -> Flight:
    """Writes the trial's attributes and makes its order; a trial that ran before goes on from its checkpoint."""
    attributes = trial.user_attrs
    if "config" in attributes:
        config = validated(attributes["config"])
    attempt = int(attributes.get("attempts", 0))
    known = study.known_epochs(trial.number) if attempt else ()
    folder, resources = place.runs / study.name / str(trial.number), place.resources(config)
    gpus = resources.get("GPU", place.gpus)
    study.start(
        trial,
        {
            "resumable_hash": config.resumable_hash,  # before the configuration, which is adopted with it
            "attempts": attempt + 1,
            "driver": place.driver,
            "config": config.model_dump(mode="json"),
            "config_hash": config.hash,
            "store_key": place.store.name,
            "code": place.code,
            "provenance": place.provenance,
            "machine": place.machine.model_dump(mode="json"),
            "gpus": gpus,
            "arm": config.arm,
            "seed": config.seed,
            "fold": config.fold,
        },
    )
    order = TrialOrder(
        study=study.name,
        number=trial.number,
        attempt=attempt,
        folder=folder / str(attempt),
        resume_from=latest_checkpoint(folder, attempt),
        known_epochs=len(known),
        store=place.store,
        machine=place.machine,
        config=config,
    )
    return Flight(
        order,
        trial._trial_id,
        list(known),
        goal=place.goal,
        gpus=gpus,
        market=place.market,
        resources=resources,
        retries=dict(attributes.get("retries", {})),
        stalls=dict(attributes.get("stalls", {})),
        stalled_at=int(attributes.get("stalled_at", 0)),
    )


def latest_checkpoint(folder: Path, attempt: int) -> Path | None:
    """The newest checkpoint of the attempts before `attempt`; one that died before its first epoch has none."""
    for earlier in range(attempt - 1, -1, -1):
        path = folder / str(earlier) / CHECKPOINT
        if path.exists():
            return path
    return None
