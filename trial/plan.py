"""Plan: what a stage asks for next (`trial/search_plan.py`, `trial/cell_plan.py`), and how an ask becomes an order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import optuna

from search_spaces.config import TrialConfig, validated
from storage.study import StudyStore
from trial.keeper import CHECKPOINT
from trial.machine import Machine
from trial.order import Flight, Goal, TrialOrder
from trial.recording import finish, judge_known


class Plan(Protocol):
    """What the searcher needs of a stage."""

    study: StudyStore

    @property
    def target(self) -> int:
        """Finished trials to reach, as far as it is known."""
        ...

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


def first_open(study: StudyStore, draw: Callable[[], Flight | None]) -> Flight | None:
    """The next one that has anything left to do; those whose last epoch the store has already are told."""
    while (flight := draw()) is not None and judge_known(flight):
        finish(study, flight)
    return flight


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
