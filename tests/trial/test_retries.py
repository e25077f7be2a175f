"""What is tried again, how often, after which pause; and what Ray's errors are called."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from optuna.trial import TrialState
from ray.air.execution._internal import RayActorManager
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    NodeDiedError,
    OutOfMemoryError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)

from tests.trial.flights import flight
from trial.failures import PAUSES, Failure
from trial.ray_errors import classified
from trial.ray_repairs import survive_lost_workers
from trial.retries import Retries


class PutBack:
    """A study that remembers what waits again."""

    def __init__(self) -> None:
        self.trials: list[tuple[int, int]] = []

    def put_back(self, trial_id: int, attempt: int) -> None:
        self.trials.append((trial_id, attempt))


def raised(error: Exception) -> RayTaskError:
    return RayTaskError("step", f"Traceback ..\n{type(error).__name__}: {error}", error)


@pytest.mark.parametrize(
    ("error", "text", "kind"),
    [
        (raised(TypeError("no")), "TypeError: no", "error"),
        (raised(RuntimeError("CUDA error")), "RuntimeError: CUDA error", "error"),
        (raised(MemoryError()), "MemoryError", "oom"),
        (raised(RuntimeError("x")), "torch.OutOfMemoryError: CUDA out of memory", "oom"),
        (ActorDiedError(), "The actor died because its node has died. Node Id: 12", "lost_node"),
        (ActorDiedError(), "Worker exits unexpectedly: SIGKILL", "crash"),
        (ActorDiedError(), "killed due to memory pressure", "oom"),
        (NodeDiedError("node 12 is dead"), "node 12 is dead", "lost_node"),
        (WorkerCrashedError(), "The worker died unexpectedly", "crash"),
        (raised(WorkerCrashedError()), "RayTaskError: WorkerCrashedError", "crash"),
        (ActorUnavailableError("away", None), "the actor is unavailable", "lost_node"),
        (None, "", "crash"),
        (None, "ray.exceptions.RayTaskError(Odd): of a kind that only the worker knows", "error"),
    ],
)
def test_ray_errors_are_told_apart(error: Exception | None, text: str, kind: str) -> None:
    assert classified(error, text).kind == kind


def test_the_sentence_begins_with_the_exception() -> None:
    assert classified(None, "Traceback\n  line\nValueError: x\n").sentence.startswith("ValueError: x\nTraceback")


@pytest.mark.parametrize("kind", ["crash", "oom", "hung", "lost_node"])
def test_a_machines_fault_is_tried_again_so_often_and_then_fails(kind: str) -> None:
    one, study = flight(), PutBack()
    retries: Any = Retries(study)  # type: ignore[arg-type]
    for tried in range(len(PAUSES[kind])):
        retries.judge(one, Failure(kind, "it went away"))
        assert one.outcome is None
        assert one.is_held
        assert one.retries == {kind: tried + 1}
    retries.judge(one, Failure(kind, "it went away"))
    assert one.outcome is not None
    assert (one.outcome.state, one.outcome.reason) == (TrialState.FAIL, kind)
    assert f"(tried {1 + len(PAUSES[kind])} times without a new epoch)" in one.outcome.sentence


def test_a_trial_that_came_further_each_time_is_always_tried_again() -> None:
    one, retries = flight(), Retries(PutBack())  # type: ignore[arg-type]
    for epoch in range(1, 2 + len(PAUSES["crash"])):
        one = flight(
            results=[{"seconds": 1.0}] * epoch, retries=one.retries, stalls=one.stalls, stalled_at=one.stalled_at
        )
        retries.judge(one, Failure("crash", "it went away"))
    assert one.outcome is None
    assert (one.retries, one.stalls) == ({"crash": 1 + len(PAUSES["crash"])}, {"crash": 1})


def test_kinds_are_counted_apart() -> None:
    one, retries = flight(), Retries(PutBack())  # type: ignore[arg-type]
    for kind in ("crash", "oom", "crash"):
        retries.judge(one, Failure(kind, "x"))
    assert one.outcome is None
    assert one.retries == {"crash": 2, "oom": 1}


def test_an_error_of_the_code_fails_at_once() -> None:
    one, retries = flight(), Retries(PutBack())  # type: ignore[arg-type]
    retries.judge(one, Failure("error", "TypeError: no"))
    assert one.outcome is not None
    assert (one.outcome.reason, one.outcome.sentence) == ("error", "TypeError: no")


def test_a_disk_that_stays_full_is_no_failure_but_left_to_the_next_start() -> None:
    one, study = flight(), PutBack()
    retries = Retries(study)  # type: ignore[arg-type]
    for _ in range(1 + len(PAUSES["unwritten"])):
        retries.judge(one, Failure("unwritten", "no room"))
    assert one.outcome is None
    assert "left to the next start" in one.events[-1][1]
    assert retries.are_coming
    retries.hand_out(everything=True)
    assert not retries.are_coming
    assert study.trials == [(0, 0)] * 3


def test_a_stall_is_counted_anew_after_epochs_of_an_attempt_that_ended_otherwise() -> None:
    one = flight(results=[{"seconds": 1.0}] * 2, known_epochs=2, stalls={"hung": 1}, stalled_at=1)
    Retries(PutBack()).judge(one, Failure("hung", "it stands"))  # type: ignore[arg-type]
    assert one.outcome is None
    assert (one.stalls, one.stalled_at) == ({"hung": 1}, 2)


def test_what_tune_would_not_survive_is_a_death_of_the_worker_in_ray_s_words() -> None:
    """As Tune's executor hears of an actor that the memory monitor killed."""
    heard: list[Any] = []
    actor = SimpleNamespace(actor_id=1, _on_error=None)
    task = SimpleNamespace(_tracked_actor=actor, _on_error=lambda actor, error: heard.append(error))
    manager = SimpleNamespace(_failed_actor_ids=set(), _cleanup_actor=lambda tracked_actor: None)
    for _ in range(2):  # each run mends it
        survive_lost_workers()
    for error in (OutOfMemoryError("the node was running low on memory"), raised(TypeError("no"))):
        RayActorManager._actor_task_failed(manager, tracked_actor_task=task, exception=error)
    death, exception = heard
    assert isinstance(death, RayActorError)
    assert classified(death, str(death)).kind == "oom"
    assert exception.cause.args == ("no",)


def test_a_held_trial_is_handed_out_after_its_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("trial.retries.time.monotonic", lambda: now)
    study = PutBack()
    retries = Retries(study)  # type: ignore[arg-type]
    retries.judge(flight(), Failure("crash", "x"))
    retries.hand_out()
    assert study.trials == []
    now += PAUSES["crash"][0]
    retries.hand_out()
    assert study.trials == [(0, 0)]
    assert math.isfinite(now)
