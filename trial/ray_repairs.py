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


def forget_statistics(trial: Any) -> None:
    """Running means of every number of every result, which Tune keeps of each of its trials and nobody reads."""
    trial.run_metadata.metric_analysis.clear()
    trial.run_metadata.metric_n_steps.clear()
