"""Who watches the validation days: early stopping, and the plateau schedule. Nobody is an object too.

Validation days are the last of the fold's training days, purged on both sides; the scored days decide nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from search_spaces.schedules import PlateauConfig
from search_spaces.train import EarlyStoppingConfig, TrainConfig
from trial.average import Weights

NEVER = -math.inf


@dataclass
class Rises:
    """The best value so far, and how many epochs ago it was."""

    min_delta: float
    best: float = NEVER
    epochs_since: int = 0

    def hear(self, value: float) -> bool:
        """Whether the value is a rise."""
        if value > self.best + self.min_delta:
            self.best, self.epochs_since = value, 0
            return True
        self.epochs_since += 1
        return False

    def state_dict(self) -> dict[str, Any]:
        return {"best": None if self.best == NEVER else self.best, "epochs_since": self.epochs_since}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best = NEVER if state["best"] is None else state["best"]
        self.epochs_since = state["epochs_since"]


class Watch:
    """Nobody: the rate follows its schedule and training goes to its last epoch."""

    stops: bool = False  # training is over, and `best_weights` are the ones to keep
    factor: float = 1.0  # of the scheduled rate
    best_weights: Weights | None = None

    def hear(self, value: float, weights: Weights) -> None:
        """The validation days' RankIC after an epoch, and the weights that it was of."""

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class EarlyStopping(Watch):
    """Stops where RankIC has not risen for `patience` epochs; keeps the best epoch's weights."""

    def __init__(self, config: EarlyStoppingConfig) -> None:
        self.patience, self.rises = config.patience, Rises(config.min_delta)

    def hear(self, value: float, weights: Weights) -> None:
        if self.rises.hear(value):
            self.best_weights = {name: tensor.detach().clone() for name, tensor in weights.items()}
        self.stops = self.rises.epochs_since >= self.patience

    def state_dict(self) -> dict[str, Any]:
        return self.rises.state_dict() | {"stops": self.stops}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rises.load_state_dict(state)
        self.stops = state["stops"]


class Plateau(Watch):
    """Lowers the rate where RankIC has not risen for `patience` epochs."""

    def __init__(self, config: PlateauConfig) -> None:
        self.config, self.rises = config, Rises(config.min_delta)

    def hear(self, value: float, weights: Weights) -> None:
        self.rises.hear(value)
        if self.rises.epochs_since >= self.config.patience:
            self.factor = max(self.config.min_factor, self.factor * self.config.factor_on_plateau)
            self.rises.epochs_since = 0

    def state_dict(self) -> dict[str, Any]:
        return self.rises.state_dict() | {"factor": self.factor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rises.load_state_dict(state)
        self.factor = state["factor"]


@dataclass
class Watches:
    """All who watch, as one."""

    members: dict[str, Watch] = field(default_factory=dict)

    @property
    def factor(self) -> float:
        return math.prod(watch.factor for watch in self.members.values())

    @property
    def stops(self) -> bool:
        return any(watch.stops for watch in self.members.values())

    @property
    def best_weights(self) -> Weights | None:
        return next((w.best_weights for w in self.members.values() if w.best_weights is not None), None)

    def hear(self, value: float, weights: Weights) -> None:
        for watch in self.members.values():
            watch.hear(value, weights)


def make_watches(train: TrainConfig) -> Watches:
    """Those that the configuration asks for."""
    members: dict[str, Watch] = {}
    if train.early_stopping is not None:
        members["early_stopping"] = EarlyStopping(train.early_stopping)
    if isinstance(train.schedule, PlateauConfig):
        members["plateau"] = Plateau(train.schedule)
    return Watches(members)
