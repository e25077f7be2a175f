"""What a stage asks for next: search draws from the space, confirm walks the cells arm x seed x fold."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from search_spaces.config import TrialConfig, validated
from search_spaces.space import SearchSpace
from storage.study import StudyStore
from trial.keeper import CHECKPOINT
from trial.machine import Machine
from trial.order import Flight, TrialOrder

MAX_SEEDS = 20  # the seeds that confirm may draw from: a categorical parameter keeps its choices for ever


class Plan(Protocol):
    """What the searcher needs of a stage."""

    target: int

    def next_flight(self) -> Flight | None:
        """The next order, or None when the stage has asked for all it wants."""
        ...


@dataclass(frozen=True)
class Place:
    """Where a stage's trials run and write."""

    runs: Path
    store: Path
    machine: Machine
    code: str  # hash of the product's source
    provenance: str  # key of code, packages and hardware in the store


class SearchPlan:
    """Draws until `target` trials are finished or in flight; waiting ones of earlier drivers come first."""

    def __init__(self, study: StudyStore, space: SearchSpace, base: TrialConfig, place: Place, target: int) -> None:
        self.study, self.space, self.base, self.place, self.target = study, space, base, place, target
        if not study.study.get_trials(deepcopy=False):
            for point in space.first_points:
                study.study.enqueue_trial(dict(point), skip_if_exists=True)

    def next_flight(self) -> Flight | None:
        counts = self.study.counts()
        active = sum(n for state, n in counts.items() if state != TrialState.WAITING.name)
        if active >= self.target:
            return None
        trial = self.study.ask()
        config = self.space.sample(trial, self.base)
        return start_flight(self.study, trial, config, self.place)


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
        taken = [_cell(trial) for trial in self.study.study.get_trials(deepcopy=False)]
        waiting = self.study.counts()[TrialState.WAITING.name]
        free = [cell for cell in self.cells if cell not in taken]
        if not free and not waiting:
            return None
        trial = self.study.ask(free[0] if free else None)
        for name, distribution in self.distributions.items():
            trial.suggest_categorical(name, distribution.choices)
        seed, fold = trial.params["seed"], trial.params["fold"]
        config = self.arms[trial.params["arm"]].replace(seed=seed, fold=fold)
        return start_flight(self.study, trial, config, self.place)


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
    known = study.known_epochs(trial.number)
    folder = place.runs / study.name / str(trial.number)
    study.set_attributes(
        trial._trial_id,
        {
            "resumable_hash": config.resumable_hash,  # before the configuration, which is adopted with it
            "attempts": attempt + 1,
            "config": config.model_dump(mode="json"),
            "config_hash": config.hash,
            "store_key": place.store.name,
            "code": place.code,
            "provenance": place.provenance,
            "machine": place.machine.model_dump(mode="json"),
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
    return Flight(order, trial._trial_id, list(known))


def latest_checkpoint(folder: Path, attempt: int) -> Path | None:
    """The newest checkpoint of the attempts before `attempt`; one that died before its first epoch has none."""
    for earlier in range(attempt - 1, -1, -1):
        path = folder / str(earlier) / CHECKPOINT
        if path.exists():
            return path
    return None
