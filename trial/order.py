"""TrialOrder: all that a worker is told, as plain JSON; Flight: what the driver remembers of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.trial import TrialState
from pydantic import BaseModel, ConfigDict

from search_spaces.config import TrialConfig
from search_spaces.objectives import OBJECTIVES, RANK_IC, Constraint, Objective
from trial.failures import Failure
from trial.machine import Machine


class TrialOrder(BaseModel):
    """One attempt at one trial."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    study: str
    number: int
    attempt: int  # from 0; each start of the same number is one more
    folder: Path  # <runs>/<study>/<number>/<attempt>, this attempt's alone
    resume_from: Path | None  # the checkpoint of an earlier attempt
    known_epochs: int  # epochs that the store has already
    store: Path  # the prepared market
    machine: Machine
    config: TrialConfig


@dataclass(frozen=True)
class Goal:
    """What a study's COMPLETE trials are judged by."""

    objectives: tuple[Objective, ...] = (OBJECTIVES[RANK_IC],)
    constraints: tuple[Constraint, ...] = ()


@dataclass
class Outcome:
    """How a trial ended: the state that is told, the reason in a word, the story in a sentence."""

    state: TrialState
    reason: str
    sentence: str = ""


@dataclass
class Flight:
    """A trial that a worker has, between ask and tell."""

    order: TrialOrder
    trial_id: int  # Optuna's
    results: list[dict[str, Any]] = field(default_factory=list)  # EpochResults, those of earlier attempts first
    goal: Goal = field(default_factory=Goal)
    gpus: float = 0.0
    resources: dict[str, float] = field(default_factory=lambda: {"CPU": 1.0})  # that Ray places it by
    market: int | None = None  # by which the ledger knows it
    retries: dict[str, int] = field(default_factory=dict)  # kind of failure -> times that it was tried again for it
    stalls: dict[str, int] = field(default_factory=dict)  # the same, at the epoch where it failed last
    stalled_at: int = 0  # epochs that it had then
    slot: int = -1  # of the workers' places: flights in one slot follow one another in one process
    started: float = field(default_factory=time.monotonic)
    outcome: Outcome | None = None
    attributes: dict[str, Any] = field(default_factory=dict)  # written before the tell
    events: list[tuple[str, str]] = field(default_factory=list)  # kind, message; written with them
    stopped_by_scheduler: bool = False
    interruption: str = "interrupted"  # why it waits, where it has no outcome
    is_held: bool = False  # it waits, but for a while nobody is to go on with it
    failure: Failure | None = None  # that the driver itself found, and ended the worker for

    def interrupt(self, kind: str, sentence: str) -> None:
        """It ends without an outcome, and says why it waits."""
        self.interruption = kind
        self.events.append((kind, f"attempt {self.order.attempt}: {sentence}"))

    @property
    def values(self) -> tuple[float, ...]:
        """What is told of a trial that sent its last epoch: one number per objective."""
        return tuple(objective.of(self.results) for objective in self.goal.objectives)

    @property
    def own_results(self) -> list[dict[str, Any]]:
        """Of this attempt, not of those before it."""
        return self.results[self.order.known_epochs :]

    @property
    def own_seconds(self) -> float:
        """Of training, in this attempt."""
        return sum(result["seconds"] for result in self.own_results)
