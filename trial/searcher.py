"""StudySearcher: Ray asks for a configuration, the plan asks the study; nothing else is kept here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from storage.database import away_in_words
from storage.errors import StoreAwayError
from storage.spool import SpooledStudy
from trial.order import Flight
from trial.plan import Plan
from trial.retries import Retries
from trial.slots import Slots, in_slot
from trial.stopping import StopRequest
from trial.unsaved import Unsaved


class StudySearcher(Unsaved, Searcher):
    """Hands out orders until the plan has no more. Telling is the recorder's, which sees every result."""

    def __init__(
        self,
        plan: Plan,
        flights: dict[str, Flight],
        study: SpooledStudy,
        retries: Retries,
        stop: StopRequest,
        slots: Slots,
        patience_seconds: float,
        reclaim: Callable[[], list[int]],
    ) -> None:
        """
        Args:
            plan: that asks.
            flights: under way, by Ray's trial.
            study: that is written.
            retries: trials that are held back.
            stop: that ends all asking.
            slots: where flights run.
            patience_seconds: for so long is a store that is away waited for, once nothing runs any more.
            reclaim: takes up trials that nobody runs; asked before this driver says that it has finished.
        """
        super().__init__()
        self._plan, self._flights, self._study = plan, flights, study
        self._retries, self._stop, self._patience = retries, stop, patience_seconds
        self._slots, self._reclaim = slots, reclaim

    def suggest(self, trial_id: str) -> Any:
        """An order; None for 'not now', where a trial under way or held back may yet make room."""
        if self._stop.reason is not None:
            return Searcher.FINISHED
        if not self._study.is_back():
            self._give_up_in_time()
            return None
        self._retries.hand_out()
        slot = self._slots.free(self._flights.values())
        if slot is None:
            return None
        try:
            with away_in_words():
                flight = self._plan.next_flight()
                if flight is None:
                    is_over = not (self._flights or self._retries.are_coming or self._reclaim())
                    return Searcher.FINISHED if is_over else None
        except StoreAwayError as error:
            self._study.went_away(error)
            return None
        self._flights[trial_id] = flight
        flight.slot = slot
        return {"order": flight.order.model_dump_json(), "resources": in_slot(flight.resources, slot)}

    def _give_up_in_time(self) -> None:
        if not self._flights and time.monotonic() - self._study.away_since > self._patience:
            raise self._study.farewell

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Told by the recorder, last."""

    def save(self, checkpoint_path: str) -> None:
        """The study is the state; Ray keeps none."""

    def restore(self, checkpoint_path: str) -> None:
        """Starting again is resuming."""
