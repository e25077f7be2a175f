"""SearchPlan: draws from the space until its target is reached."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from search_spaces.config import TrialConfig
from search_spaces.space import SearchSpace
from storage.draft import draft
from storage.study import StudyStore
from trial.order import Flight, Outcome
from trial.plan import Place, first_open, start_flight
from trial.recording import finish

KNOWN_FAILURE = "known_failure"
FOR_GOOD = ("error", "oom", "crash", "hung")  # reasons of a FAIL that would come again


class SearchPlan:
    """Draws until `target` trials are finished or in flight; waiting ones of earlier drivers come first.

    Args:
        study: to ask.
        space: to draw from.
        base: the configuration that draws change.
        place: where trials run.
        target: finished trials to reach, beside those of data that were changed since.
        first_points: to try before anything is drawn, in a study that has no trial of these data yet.
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
        self.study, self.space, self.base, self.place = study, space, base, place
        self.target = study.values_from + target
        self._sampler, self._batch, self._asked = sampler, batch, deque[Flight]()
        self._failed = known_failures(study, place.code)
        if len(study.study.get_trials(deepcopy=False)) <= study.values_from:
            for point in first_points:
                study.study.enqueue_trial(dict(point), skip_if_exists=not study.values_from)

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


def known_failures(study: StudyStore, code: str) -> dict[str, int]:
    """The resumable hash of what failed for good under this code -> the trial's number."""
    failed = study.study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
    told = [(trial.user_attrs, trial.number) for trial in failed if trial.number >= study.values_from]
    return {of["resumable_hash"]: n for of, n in told if of.get("code") == code and of.get("reason") in FOR_GOOD}
