"""When a write is done: before its caller goes on (write-through), or while it does (write-behind)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Protocol

Write = Callable[[], object]


class Writing(Protocol):
    """Takes writes one at a time and does them in their order."""

    def submit(self, write: Write) -> None:
        """Does it, now or soon; first waits for the one before. Raises what that one raised."""

    def settle(self) -> None:
        """Waits until everything is done. Raises what the last one raised."""


class WriteThrough:
    """At once: where a write takes less than to hand it over."""

    def submit(self, write: Write) -> None:
        write()

    def settle(self) -> None:
        """Everything is done."""


class WriteBehind:
    """One write goes on in a thread of its own, where it waits for a server's disk."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "write-behind")
        self._pending: Future[object] | None = None

    def submit(self, write: Write) -> None:
        self.settle()
        self._pending = self._thread.submit(write)

    def settle(self) -> None:
        if self._pending is None:
            return
        wait([self._pending])  # who is interrupted here has it pending still
        done, self._pending = self._pending, None
        done.result()
