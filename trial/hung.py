"""Workers that show no sign of life: replaced, and their trials tried again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import ray

from trial.failures import Failure
from trial.interrupt import ALIVE
from trial.order import Flight

LOOK_SECONDS = 5.0


class HungWorkers:
    """Looks, now and then, at the sign that each worker leaves in its attempt's folder between two steps.

    Times are this process's own: the clocks of other machines and of shared disks may differ.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._looked = seconds, time.monotonic()
        self._seen: dict[str, tuple[object, float]] = {}  # Ray's trial -> its last sign, and when it was new

    def look(self, trials: list[Any], flights: Mapping[str, Flight]) -> None:
        """Kills the workers whose last sign is too old; Ray then says that they died."""
        now = time.monotonic()
        if now - self._looked < min(LOOK_SECONDS, self._seconds / 2):
            return
        self._looked = now
        self._seen = {key: seen for key, seen in self._seen.items() if key in flights}
        for trial in trials:
            flight, actor = flights.get(trial.trial_id), trial.temporary_state.ray_actor
            if flight is None or actor is None or trial.status not in ("PENDING", "RUNNING"):
                continue
            sign = (_touched(flight), len(flight.results))
            known, since = self._seen.get(trial.trial_id, (None, now))
            if sign != known:
                self._seen[trial.trial_id] = (sign, now)
            elif now - since > self._seconds and flight.failure is None:
                flight.failure = Failure("hung", f"no step and no result for {now - since:.0f} s; it was replaced")
                ray.kill(actor)


def _touched(flight: Flight) -> float | None:
    try:
        return (flight.order.folder / ALIVE).stat().st_mtime
    except OSError:
        return None
