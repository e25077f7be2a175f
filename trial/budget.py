"""Budgets of a sweep besides its number of trials: time, GPU-hours, patience. Used up, nothing more is asked."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from storage.costs import read_costs
from storage.study import StudyStore
from trial.order import Flight
from trial.stopping import StopRequest

LOOK_SECONDS = 1.0


@dataclass
class Budget:
    """Of one stage. `reason` says, once, why no more trials are asked; those under way go on to their end."""

    study: StudyStore
    studies: tuple[str, ...]  # of the sweep, whose GPU-hours count together
    stop: StopRequest
    gpu_hours: float | None = None
    patience: int | None = None  # finished trials in a row without a better one
    drain_seconds: float = 0.0  # before the deadline in which no trial is started
    reason: str | None = None
    _looked: float = 0.0

    def look(self, flights: Iterable[Flight]) -> None:
        """Called now and then while trials run."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        if not self.is_used_up:
            self.reason = self._of_gpus(flights)

    @property
    def is_used_up(self) -> bool:
        """Before each ask. What was said since the last look counts: a study must not depend on when that was."""
        if self.reason is None:
            self.reason = self._of_time() or self._of_patience()
        return self.reason is not None

    def _of_time(self) -> str | None:
        deadline = self.stop.deadline
        if deadline is None or not self.drain_seconds or time.time() < deadline - self.drain_seconds:
            return None
        return f"less than {self.drain_seconds:.0f} s are left, so no more trials start"

    def _of_patience(self) -> str | None:
        if self.patience is None:
            return None
        values = self.study.complete_values()
        if not values:
            return None
        best = max(values, key=lambda number: (values[number], -number))
        since = self.study.num_finished - (best + 1)
        if since < self.patience:
            return None
        return f"nothing was better than trial {best} for {since} trials; those asked for already go on"

    def _of_gpus(self, flights: Iterable[Flight]) -> str | None:
        if self.gpu_hours is None:
            return None
        flying = sum(flight.gpus * flight.own_seconds for flight in flights)
        costs = read_costs(self.study.storage.engine, self.studies)
        used = (sum(cost.gpu_seconds for cost in costs.values()) + flying) / 3600
        return f"{used:.2f} of {self.gpu_hours:g} GPU-hours are used" if used >= self.gpu_hours else None
