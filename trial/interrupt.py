"""SIGTERM and SIGINT while a trial trains: a flag, read after each step, so that the loop leaves at a whole state."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

TAKEN_AWAY = "taken-away"  # file of an attempt whose worker was told to end
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(Exception):
    """Raised between two steps to leave the loop there; the state is whole and is saved.

    Attributes:
        unsaved: why the checkpoint of that step could not be written; empty where it was.
    """

    unsaved: str = ""


class Unwritten(Stopped):
    """By a disk that did not take what has to be kept: the trial goes on once there is room."""


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


class Farewell:
    """Between two steps: SIGTERM leaves a word in the attempt's folder and goes on to whoever handled it before.

    A worker that was taken away has not failed: the driver finds the word, and the trial waits for another worker.
    Outside the main thread, where Python allows no handler, it does nothing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._is_set = folder, threading.current_thread() is threading.main_thread()
        self._previous = signal.signal(signal.SIGTERM, self._hand_on) if self._is_set else None

    def withdraw(self) -> None:
        """The attempt is over: from here on the signal is its previous handler's alone."""
        if self._is_set:
            self._is_set = False
            signal.signal(signal.SIGTERM, self._previous if self._previous is not None else signal.SIG_DFL)

    def _hand_on(self, number: int, _: FrameType | None) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / TAKEN_AWAY).touch()
        self.withdraw()
        deliver_again(number)


def deliver_again(number: int) -> None:
    """Sends the signal to this process again, for whoever handles it now."""
    os.kill(os.getpid(), number)
