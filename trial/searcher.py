"""StudySearcher: Ray asks for a configuration, the plan asks the study; nothing else is kept here."""

from __future__ import annotations

from typing import Any

from ray.tune.search import Searcher

from trial.order import Flight
from trial.plan import Plan
from trial.unsaved import Unsaved


class StudySearcher(Unsaved, Searcher):
    """Hands out orders until the plan has no more. Telling is the recorder's, which sees every result."""

    def __init__(self, plan: Plan, flights: dict[str, Flight]) -> None:
        super().__init__()
        self._plan, self._flights = plan, flights

    def suggest(self, trial_id: str) -> Any:
        flight = self._plan.next_flight()
        if flight is None:
            return Searcher.FINISHED
        self._flights[trial_id] = flight
        return {"order": flight.order.model_dump_json()}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Told by the recorder, last."""

    def save(self, checkpoint_path: str) -> None:
        """The study is the state; Ray keeps none."""

    def restore(self, checkpoint_path: str) -> None:
        """Starting again is resuming."""
