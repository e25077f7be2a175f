"""StudyRecorder: what Ray reports, written to the study (`trial/recording.py`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from optuna.trial import TrialState
from ray import cloudpickle
from ray.tune import Callback

from storage.spool import SpooledStudy
from trial import recording
from trial.failures import Failure
from trial.interrupt import RECYCLED, TAKEN_AWAY, ask_to_leave
from trial.order import Flight, Outcome
from trial.ray_errors import classified
from trial.ray_repairs import forget
from trial.retries import Retries
from trial.unsaved import Unsaved

SENTENCE = "its worker was told to end (SIGTERM); the trial goes on from its last step in another one"


class StudyRecorder(Unsaved, Callback):
    """Sees the stopping result too, which a Ray searcher does not."""

    def __init__(
        self,
        study: SpooledStudy,
        flights: dict[str, Flight],
        retries: Retries,
        on_epoch: Callable[[Flight], object],
        on_finish: Callable[[Flight], object],
        on_retry: Callable[[Flight], object],
        on_tick: Callable[[list[Any]], object],
    ) -> None:
        self._study, self._flights, self._retries = study, flights, retries
        self._on_epoch, self._on_finish, self._on_retry, self._on_tick = on_epoch, on_finish, on_retry, on_tick

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **info: Any) -> None:
        flight = self._flights[trial.trial_id]
        flight.attributes |= {name: result[name] for name in ("node", "device") if name in result}
        if "ended" in result:
            flight.outcome = Outcome(TrialState.PRUNED, **result["ended"])
            return
        if result.get("left") == "interrupted":
            flight.interrupt("interrupted", result["why"])
            return
        if "left" in result:
            self._retries.judge(flight, Failure(result["left"], result["why"]))
            return
        epoch = result.pop("result")  # or Tune would keep it for as long as the sweep runs
        recording.record_epoch(self._study, flight, epoch)
        if flight.outcome is None and flight.stopped_by_scheduler:
            flight.outcome = Outcome(TrialState.PRUNED, "asha", f"below the rung's cutoff at epoch {epoch['epoch']}")
        self._on_epoch(flight)

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        """Also called where Tune stops everything, before the worker hears of it: what it did since is to be kept."""
        flight = self._flights.pop(trial.trial_id)
        if flight.outcome is None and not flight.is_held:
            self._give_up(flight)
        self._finish(flight)
        forget(trial)

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        flight = self._flights.pop(trial.trial_id)
        if flight.outcome is None:
            self._judge(flight, trial)
        self._finish(flight)
        forget(trial)

    def _judge(self, flight: Flight, trial: Any) -> None:
        """A worker that ended without a word to Ray."""
        folder = flight.order.folder
        if (folder / RECYCLED).exists():
            flight.interruption = RECYCLED  # before it had begun: nothing to be told of
        elif flight.failure is not None:  # before what its worker said when this driver ended it
            self._retries.judge(flight, flight.failure)
        elif (folder / TAKEN_AWAY).exists():
            self._retries.judge(flight, Failure("taken_away", SENTENCE))
        else:
            self._retries.judge(flight, classified(_error(trial), _error_text(trial)))

    def on_step_end(self, iteration: int, trials: list, **info: Any) -> None:
        self._on_tick(trials)

    def _finish(self, flight: Flight) -> None:
        recording.finish(self._study, flight)
        if flight.outcome is not None:
            self._on_finish(flight)
        elif flight.is_held:
            self._on_retry(flight)

    def release_all(self) -> int:
        """After the run: whatever is still in flight waits for the next start; nothing stays RUNNING."""
        interrupted = list(self._flights.values())
        self._flights.clear()
        for flight in interrupted:
            if flight.outcome is None:
                self._give_up(flight)
            self._finish(flight)
        return len(interrupted)

    def _give_up(self, flight: Flight) -> None:
        """The driver stops: the worker is asked for a checkpoint."""
        ask_to_leave(flight.order.folder)
        if not flight.events:  # else its worker has said why
            flight.interrupt("interrupted", f"the driver stopped after epoch {len(flight.results)}; it waits")


def _error(trial: Any) -> Exception | None:
    """What Ray raised; None where it kept nothing, or something that this process cannot make again."""
    path = Path(trial.pickled_error_file) if trial.pickled_error_file else None
    if path is None or not path.exists():
        return None
    try:
        error: Exception = cloudpickle.loads(path.read_bytes())
    except Exception:  # of somebody's own kind; the text says it
        return None
    return error


def _error_text(trial: Any) -> str:
    path = Path(trial.error_file) if trial.error_file else None
    return path.read_text(errors="replace") if path is not None and path.exists() else ""
