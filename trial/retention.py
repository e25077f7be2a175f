"""Which checkpoints stay: those of trials under way, and of the best finished ones, within a quota of disk.

A trial that will not go on needs no checkpoint; what it said is in its predictions and in the store.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from trial.keeper import CHECKPOINT
from trial.order import Flight

logger = logging.getLogger(__name__)


class Retention:
    """Of one study. A trial's folder is looked into until nothing is kept of it, so that a long study stays cheap."""

    def __init__(self, folder: Path, keep: int, quota_bytes: int) -> None:
        """
        Args:
            folder: <runs>/<study>.
            keep: best finished trials.
            quota_bytes: of all checkpoints together.
        """
        self.folder, self.keep, self.quota_bytes = folder, keep, quota_bytes
        self._cleared: set[int] = set()  # numbers of trials that have ended and keep nothing

    def after(self, flight: Flight, values: dict[int, float]) -> list[Path]:
        """Clears up after a trial has ended; returns what was removed.

        Args:
            flight: the trial.
            values: of the study's COMPLETE trials, this one's among them.
        """
        removed = [] if flight.order.number in values else self._remove(flight.order.number)
        ranked = sorted(values, key=lambda number: (-values[number], number))
        for number in ranked[self.keep :]:
            removed += self._remove(number)
        for number in reversed(ranked[: self.keep]):
            if self._size() <= self.quota_bytes:
                break
            removed += self._remove(number)
        return removed

    def _remove(self, number: int) -> list[Path]:
        """The checkpoints of every attempt at a trial that has ended."""
        removed: list[Path] = []
        if number in self._cleared:
            return removed
        self._cleared.add(number)
        for path in self.folder.glob(f"{number}/*/{CHECKPOINT}"):
            try:
                path.unlink()
            except OSError as error:
                self._cleared.discard(number)
                logger.warning("a checkpoint that is no longer needed stays: %s", error)
            else:
                removed.append(path)
        return removed

    def _size(self) -> int:
        """Bytes of all checkpoints; one that goes meanwhile counts nothing."""
        cleared, total = {str(number) for number in self._cleared}, 0
        for trial in self.folder.glob("*"):
            for path in () if trial.name in cleared else trial.glob(f"*/{CHECKPOINT}"):
                with suppress(FileNotFoundError):
                    total += path.stat().st_size
        return total
