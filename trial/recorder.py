"""StudyRecorder: every result to the study, the outcome last. A told trial is immutable, so `tell` is the commit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from optuna.trial import TrialState
from ray.tune import Callback

from storage.study import StudyStore
from trial.order import Flight, Outcome
from trial.unsaved import Unsaved
from trial.worker import PREDICTIONS

ERROR_LENGTH = 2000
OUT_OF_MEMORY = ("OutOfMemoryError", "can't allocate memory", "MemoryError")


class StudyRecorder(Unsaved, Callback):
    """Sees the stopping result too, which a Ray searcher does not."""

    def __init__(
        self,
        study: StudyStore,
        flights: dict[str, Flight],
        on_change: Callable[[], None],
        on_tick: Callable[[], None],
    ) -> None:
        self._study, self._flights = study, flights
        self._on_change, self._on_tick = on_change, on_tick

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **info: Any) -> None:
        flight = self._flights[trial.trial_id]
        flight.attributes |= {name: result[name] for name in ("node", "device") if name in result}
        if "ended" in result:
            flight.outcome = Outcome(TrialState.PRUNED, **result["ended"])
            return
        epoch = result["result"]
        self._study.record_epoch(flight.trial_id, flight.order.number, epoch)
        flight.results.append(epoch)
        if epoch["is_last"]:
            flight.outcome = Outcome(TrialState.COMPLETE, "complete")
            flight.attributes["predictions"] = str(flight.order.folder / PREDICTIONS)
        elif flight.stopped_by_scheduler:
            flight.outcome = Outcome(TrialState.PRUNED, "asha", f"below the rung's cutoff at epoch {epoch['epoch']}")
        self._on_change()

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self._finish(self._flights[trial.trial_id])
        del self._flights[trial.trial_id]

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        flight = self._flights[trial.trial_id]
        if flight.outcome is None:
            flight.outcome = _failure(_error_text(trial))
        self._finish(flight)
        del self._flights[trial.trial_id]

    def on_step_end(self, iteration: int, trials: list, **info: Any) -> None:
        self._on_tick()

    def _finish(self, flight: Flight) -> None:
        """Final attributes, then the tell. One without an outcome was interrupted and waits for the next start."""
        if flight.outcome is None:
            self._study.storage.set_trial_state_values(flight.trial_id, TrialState.WAITING)
            return
        outcome = flight.outcome
        cost = {"oom_events": int(outcome.reason == "oom")} | _summary(flight)
        self._study.set_attributes(flight.trial_id, flight.attributes | cost | _story(outcome))
        if outcome.reason not in ("complete", "asha"):
            self._study.note(outcome.reason, outcome.sentence, flight.order.number)
        value = flight.results[-1]["value"] if outcome.state == TrialState.COMPLETE else None
        self._study.tell(flight.order.number, outcome.state, value)
        self._on_change()

    def release_all(self) -> int:
        """After the run: whatever is still in flight waits for the next start; nothing stays RUNNING."""
        interrupted = list(self._flights.values())
        self._flights.clear()
        for flight in interrupted:
            self._finish(flight)
        return len(interrupted)


def _story(outcome: Outcome) -> dict[str, str]:
    return {"reason": outcome.reason} | ({"sentence": outcome.sentence} if outcome.sentence else {})


def _summary(flight: Flight) -> dict[str, Any]:
    """Cost and best epoch, from the results of every attempt."""
    if not flight.results:
        return {}
    best = max(flight.results, key=lambda result: result["value"])
    seconds = sum(result["seconds"] for result in flight.results)
    return {
        "wall_seconds": seconds,
        "gpu_seconds": seconds if flight.order.machine.device.startswith("cuda") else 0.0,
        "peak_memory_mib": max(result["peak_memory_mib"] for result in flight.results),
        "best_epoch": best["epoch"],
        "best_epoch_value": best["value"],
    }


def _failure(sentence: str) -> Outcome:
    """Out of memory is told apart from other crashes; no trial survives it yet, so it counts once or not at all."""
    out_of_memory = any(words in sentence for words in OUT_OF_MEMORY)
    return Outcome(TrialState.FAIL, "oom" if out_of_memory else "crash", sentence)


def _error_text(trial: Any) -> str:
    """The exception's own line first, then the worker's traceback as Ray wrote it."""
    path = Path(trial.error_file) if trial.error_file else None
    if path is None or not path.exists():
        return "the worker died without a word"
    text = path.read_text(errors="replace").strip()
    lines = [line for line in text.splitlines() if line.strip()]
    return f"{lines[-1].strip()}\n{text}"[:ERROR_LENGTH]
