"""TrialOrder: all that a worker is told, as plain JSON; Flight: what the driver remembers of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.trial import TrialState
from pydantic import BaseModel, ConfigDict

from search_spaces.config import TrialConfig
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
    outcome: Outcome | None = None
    attributes: dict[str, Any] = field(default_factory=dict)  # written before the tell
    stopped_by_scheduler: bool = False
