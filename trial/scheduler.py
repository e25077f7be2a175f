"""ASHA (Li et al. 2020) whose rungs survive a restart, ranked by each trial's best value so far."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from trial.order import Flight
from trial.unsaved import Unsaved

Curves = Mapping[int, tuple[dict[str, Any], ...]]


class StudyASHA(Unsaved, AsyncHyperBandScheduler):
    """One bracket, rungs at `grace`, grace * factor, .. epochs. Rungs hold the trials of earlier drivers too."""

    def __init__(
        self, flights: dict[str, Flight], finished: Curves, epochs: int, grace: int, reduction_factor: int
    ) -> None:
        super().__init__(
            time_attr="epoch",
            metric="best_so_far",
            mode="max",
            max_t=epochs,
            grace_period=min(grace, epochs),
            reduction_factor=reduction_factor,
            brackets=1,
        )
        self._flights = flights
        self._known_as: dict[int, str] = {}  # number -> Ray's id of its latest attempt
        for number, curve in finished.items():
            self._enter(f"finished-{number}", curve)

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """An adopted trial enters the rungs that it reached before, under its new Ray id."""
        super().on_trial_add(tune_controller, trial)
        flight = self._flights[trial.trial_id]
        self._leave(self._known_as.get(flight.order.number))
        self._known_as[flight.order.number] = trial.trial_id
        self._enter(trial.trial_id, flight.results)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        decision = super().on_trial_result(tune_controller, trial, result)
        if decision == TrialScheduler.STOP:
            self._flights[trial.trial_id].stopped_by_scheduler = True
        return decision

    def _enter(self, trial_id: str, curve: Any) -> None:
        for result in curve:
            self._brackets[0].on_result(SimpleNamespace(trial_id=trial_id), result["epoch"], result["best_so_far"])

    def _leave(self, trial_id: str | None) -> None:
        """An attempt that is tried again stands in each rung once, under its latest id."""
        for _, recorded in self._brackets[0]._rungs:
            recorded.pop(trial_id, None)
