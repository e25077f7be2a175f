"""What Ray 2.60 and its Tune do not survive, or keep for ever, mended from outside."""

from __future__ import annotations

from typing import Any

from ray._private import services, worker
from ray.air.execution._internal import RayActorManager
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune.experiment import Trial


class _InAGroupOfItsOwn(services.ConsolePopen):
    """A signal to the driver's process group (a terminal, `timeout`, a batch system) does not reach it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, process_group=0, **kwargs)


def keep_signals_from_daemons() -> None:
    """Ray's own processes, started from here on, live until the driver has stopped cleanly. Should it be killed, the
    kernel ends them with it (Ray asks for that)."""
    services.ConsolePopen = _InAGroupOfItsOwn


def keep_ray_quiet() -> None:
    """Ray prints a thousand coloured characters where a worker dies. The driver says which trial that was, and that it
    goes on; Ray's words stay in its log."""
    worker.print_to_stdstream = lambda *_, **__: None


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
    the last result, the order in three shapes, and all of it once more as the text of a checkpoint, from which nothing
    is ever restored (`write_no_ended_trials`)."""
    known = trial.run_metadata
    known.metric_analysis.clear()
    known.metric_n_steps.clear()
    known.last_result = {"done": True}
    trial.config.clear()
    trial.evaluated_params.clear()
    trial.experiment_tag = ""


def write_no_ended_trials() -> None:
    """Tune's checkpoint holds nothing of trials that have ended."""
    state = Trial.get_json_state
    if getattr(state, "is_mended", False):
        return

    def mended(trial: Trial) -> tuple[str, str]:
        return ("{}", "{}") if trial.is_finished() else state(trial)

    mended.is_mended = True  # type: ignore[attr-defined]
    Trial.get_json_state = mended
