"""When a stage stops early: Ctrl-C or SIGTERM, `trial.stop`, or the end of the time budget. Ray asks between steps."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ray.tune import Stopper


class StopRequest(Stopper):
    """Plain values alone, because Ray pickles its stoppers."""

    def __init__(self, time_budget_seconds: float | None = None) -> None:
        self.deadline = time.time() + time_budget_seconds if time_budget_seconds is not None else None
        self.signal: str | None = None
        self.asked: str | None = None  # by `trial.stop`

    @property
    def reason(self) -> str | None:
        """'interrupted by SIGINT', 'asked to stop by ..', 'the time budget is used up'; None while nothing asks."""
        if self.signal:
            return f"interrupted by {self.signal}"
        if self.asked:
            return self.asked
        if self.deadline is not None and time.time() >= self.deadline:
            return "the time budget is used up"
        return None

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.reason is not None


@contextmanager
def stopping_on_signals(request: StopRequest) -> Iterator[None]:
    """The first SIGINT or SIGTERM asks for a clean stop; the second one is Python's own again."""
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _: FrameType | None) -> None:
        request.signal = signal.Signals(number).name
        print(f"{request.signal}: stopping; once more to stop at once", file=sys.stderr, flush=True)
        for known, handler in previous.items():
            signal.signal(known, handler)

    for number in previous:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
