"""From what Ray raised and wrote of a worker to a Failure."""

from __future__ import annotations

import re

from ray.exceptions import (
    ActorUnavailableError,
    LocalRayletDiedError,
    NodeDiedError,
    OwnerDiedError,
    RayActorError,
    RayError,
    RayTaskError,
)
from ray.exceptions import OutOfMemoryError as KilledByMemoryMonitor

from trial.failures import ERROR, Failure
from trial.recording import OUT_OF_MEMORY

LENGTH = 2000
DEAD_NODE = re.compile(r"node (has |was |is )?(died|dead|terminated|removed|failed)", re.IGNORECASE)


def classified(error: Exception | None, text: str) -> Failure:
    """An exception of the code, or what became of its process."""
    sentence = _in_words(text)
    if any(sign in text for sign in OUT_OF_MEMORY) or isinstance(error, KilledByMemoryMonitor):
        return Failure("oom", sentence)
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, ActorUnavailableError | OwnerDiedError | NodeDiedError | LocalRayletDiedError) or (
        isinstance(cause, RayActorError) and (cause.preempted or DEAD_NODE.search(text))
    ):
        return Failure("lost_node", sentence)
    if isinstance(cause, RayError) or (cause is None and "RayTaskError" not in text):
        return Failure("crash", sentence)
    return Failure(ERROR, sentence)


def _in_words(text: str) -> str:
    """The exception's own line first, then the worker's traceback as Ray wrote it."""
    text = text.strip()
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return "the worker died without a word"
    return f"{lines[-1].strip()}\n{text}"[:LENGTH]
