"""What Tune of Ray 2.60 does not survive, or keeps for ever, mended from outside."""

from __future__ import annotations

from typing import Any

from ray.air.execution._internal import RayActorManager
from ray.exceptions import RayActorError, RayError, RayTaskError


def survive_lost_workers() -> None:
    """An error of Ray that is neither an actor's death nor a task's exception would end the whole run, such as that of
    the memory monitor when it kills a worker. It is made an actor's death, which ends one trial's attempt."""
    failed = RayActorManager._actor_task_failed
    if getattr(failed, "is_mended", False):
        return

    def mended(manager: RayActorManager, tracked_actor_task: Any, exception: Exception) -> None:
        failed(manager, tracked_actor_task, as_a_death(exception))

    mended.is_mended = True  # type: ignore[attr-defined]
    RayActorManager._actor_task_failed = mended


def as_a_death(exception: Exception) -> Exception:
    """What Tune handles: such an error as a `RayActorError` with its words, any other as it is."""
    if isinstance(exception, RayError) and not isinstance(exception, RayActorError | RayTaskError):
        return RayActorError(error_msg=f"{type(exception).__name__}: {exception}")
    return exception


def forget(trial: Any) -> None:
    """What Tune keeps of each trial that has ended, and nobody reads: running means of every number of every result,
    the last result, and all of it once more as the text of a checkpoint, from which nothing is ever restored."""
    known = trial.run_metadata
    known.metric_analysis.clear()
    known.metric_n_steps.clear()
    known.last_result = {"done": True}
    trial.get_json_state = _no_state


def _no_state() -> tuple[str, str]:
    return "{}", "{}"
