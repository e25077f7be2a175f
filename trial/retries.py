"""Trials that are tried again: counted by kind of failure, held back for a pause, never for an error of the code."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

from optuna.trial import TrialState

from storage.spool import SpooledStudy
from trial.failures import UNWRITTEN, Failure
from trial.order import Flight, Outcome


class Held(NamedTuple):
    """A trial that waits for its pause to end."""

    due: float  # time.monotonic()
    number: int
    trial_id: int
    attempt: int


class Retries:
    """Of one stage. A trial that is held is RUNNING in the study, so that no `ask` hands it out too early."""

    def __init__(self, study: SpooledStudy) -> None:
        self._study = study
        self._held: list[Held] = []

    @property
    def are_coming(self) -> bool:
        """Whether one of them will be handed out again in this run."""
        return any(held.due < math.inf for held in self._held)

    @property
    def numbers(self) -> set[int]:
        """Of the trials that are held."""
        return {held.number for held in self._held}

    def judge(self, flight: Flight, failure: Failure) -> None:
        """Ends the flight: as FAIL, or to be tried again after a pause.

        A trial that came further than the time before was unlucky; one that did not will hardly ever.
        """
        stalls = flight.stalls if len(flight.results) == flight.stalled_at else {}
        earlier = stalls.get(failure.kind, 0)
        pause = failure.pause(earlier)
        if pause is None and failure.kind == UNWRITTEN:  # no fault of the trial's: whoever starts next goes on
            pause = math.inf
        if pause is None:
            tries = f" (tried {earlier + 1} times without a new epoch)" if earlier else ""
            flight.outcome = Outcome(TrialState.FAIL, failure.kind, failure.sentence + tries)
            return
        flight.retries = flight.retries | {failure.kind: flight.retries.get(failure.kind, 0) + 1}
        flight.stalled_at, flight.stalls = len(flight.results), stalls | {failure.kind: earlier + 1}
        first_line = failure.sentence.partition("\n")[0]
        again = f"tried again in {pause:g} s" if pause < math.inf else "left to the next start"
        flight.interrupt(failure.kind, f"{again}: {first_line}")
        flight.is_held = True
        order = flight.order
        self._held.append(Held(time.monotonic() + pause, order.number, flight.trial_id, order.attempt))

    def hand_out(self, everything: bool = False) -> None:
        """Those whose pause is over wait for the next ask; or all of them."""
        now = time.monotonic()
        due = [held for held in self._held if everything or held.due <= now]
        self._held = [held for held in self._held if held not in due]
        for held in due:
            self._study.put_back(held.trial_id, held.attempt)
