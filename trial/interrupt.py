"""SIGTERM and SIGINT while a trial trains: a flag, read after each step, so that the loop leaves at a whole state."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

TAKEN_AWAY = "taken-away"  # file of an attempt whose worker was told to end
RECYCLED = "recycled"  # file of an attempt whose worker had grown too large to begin it
LEAVE = "leave"  # file by which the driver asks a worker to leave after the step under way
ALIVE = "alive"  # file that a worker touches between two steps
SIGN_SECONDS = 1.0
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

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: the attempt's, where a driver looks for signs of life and leaves its own."""
        self._folder, self._signed = folder, -math.inf
        self._heard: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._hear) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def check(self) -> None:
        """Raises Interrupted once a signal has come, Stopped once the driver asked; leaves a sign of life."""
        if self._heard is not None:
            raise Interrupted(self._heard)
        if self._folder is not None and time.monotonic() - self._signed > SIGN_SECONDS:
            self._signed = time.monotonic()
            _touch(self._folder / ALIVE)
            if (self._folder / LEAVE).exists():
                raise Stopped("because the driver asked")

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
        leave_word(self._folder, TAKEN_AWAY)
        self.withdraw()
        deliver_again(number)


def leave_word(folder: Path, word: str) -> None:
    """For the driver, before this process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / word).touch()


def ask_to_leave(folder: Path) -> None:
    """Asks the worker of an attempt, wherever it runs, to write a checkpoint after the step under way."""
    _touch(folder / LEAVE)


def _touch(path: Path) -> None:
    """As far as the disk allows: a sign that cannot be left is none."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def deliver_again(number: int) -> None:
    """Sends the signal to this process again, for whoever handles it now."""
    os.kill(os.getpid(), number)
