"""StudyRecorder: what Ray reports, written to the study (`trial/recording.py`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from optuna.trial import TrialState
from ray.tune import Callback

from storage.study import StudyStore
from trial import recording
from trial.interrupt import TAKEN_AWAY
from trial.order import Flight, Outcome
from trial.unsaved import Unsaved

ERROR_LENGTH = 2000
NOT_REUSED = "reuse requires reset_config()"  # what Ray makes of a worker that asks to be replaced: no failure

SENTENCE = "its worker was told to end (SIGTERM); the trial goes on from its last step in another one"


class StudyRecorder(Unsaved, Callback):
    """Sees the stopping result too, which a Ray searcher does not."""

    def __init__(
        self,
        study: StudyStore,
        flights: dict[str, Flight],
        on_change: Callable[[], None],
        on_tick: Callable[[], None],
        on_finish: Callable[[Flight], object] = lambda flight: None,
    ) -> None:
        self._study, self._flights = study, flights
        self._on_change, self._on_tick, self._on_finish = on_change, on_tick, on_finish

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **info: Any) -> None:
        flight = self._flights[trial.trial_id]
        flight.attributes |= {name: result[name] for name in ("node", "device") if name in result}
        if "ended" in result:
            flight.outcome = Outcome(TrialState.PRUNED, **result["ended"])
            return
        if "unwritten" in result:
            self._study.note("unwritten", f"attempt {flight.order.attempt}: {result['unwritten']}", flight.order.number)
            return
        epoch = result["result"]
        recording.record_epoch(self._study, flight, epoch)
        if flight.outcome is None and flight.stopped_by_scheduler:
            flight.outcome = Outcome(TrialState.PRUNED, "asha", f"below the rung's cutoff at epoch {epoch['epoch']}")
        self._on_change()

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self._finish(self._flights.pop(trial.trial_id))

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        flight = self._flights.pop(trial.trial_id)
        text = _error_text(trial)
        if (flight.order.folder / TAKEN_AWAY).exists():
            self._study.note("taken_away", f"attempt {flight.order.attempt}: {SENTENCE}", flight.order.number)
        elif flight.outcome is None and NOT_REUSED not in text:
            flight.outcome = recording.failure(text)
        self._finish(flight)

    def on_step_end(self, iteration: int, trials: list, **info: Any) -> None:
        self._on_tick()

    def _finish(self, flight: Flight) -> None:
        recording.finish(self._study, flight)
        if flight.outcome is not None:
            self._on_finish(flight)
            self._on_change()

    def release_all(self) -> int:
        """After the run: whatever is still in flight waits for the next start; nothing stays RUNNING."""
        interrupted = list(self._flights.values())
        self._flights.clear()
        for flight in interrupted:
            if flight.outcome is None:
                told = f"attempt {flight.order.attempt}: the driver stopped after epoch {len(flight.results)}; it waits"
                self._study.note("interrupted", told, flight.order.number)
            self._finish(flight)
        return len(interrupted)


def _error_text(trial: Any) -> str:
    """The exception's own line first, then the worker's traceback as Ray wrote it."""
    path = Path(trial.error_file) if trial.error_file else None
    if path is None or not path.exists():
        return "the worker died without a word"
    text = path.read_text(errors="replace").strip()
    lines = [line for line in text.splitlines() if line.strip()]
    return f"{lines[-1].strip()}\n{text}"[:ERROR_LENGTH]
