"""SIGTERM and SIGINT while a trial trains: a flag, read after each step, so that the loop leaves at a whole state."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(Exception):
    """Raised between two steps to leave the loop there; the state is whole and is saved."""


class Interrupted(Stopped):
    """By a signal."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"interrupted by {signal.Signals(number).name}")


class Interruption:
    """Listens while it is entered; outside the main thread, where Python allows no handler, it hears nothing.

    The second signal is the previous handler's again, so that nobody has to wait for a slow step.
    """

    def __init__(self) -> None:
        self._heard: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._hear) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def check(self) -> None:
        """Raises Interrupted once a signal has come."""
        if self._heard is not None:
            raise Interrupted(self._heard)

    def _hear(self, number: int, _: FrameType | None) -> None:
        self._heard = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._previous = {}


def deliver_again(number: int) -> None:
    """Sends the signal to this process again, for whoever handles it now."""
    os.kill(os.getpid(), number)
