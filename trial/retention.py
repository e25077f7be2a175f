"""Which checkpoints stay: those of trials under way, and of the best finished ones, within a quota of disk.

A trial that will not go on needs no checkpoint; what it said is in its predictions and in the store.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from trial.keeper import CHECKPOINT
from trial.order import Flight

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retention:
    """Of one study."""

    folder: Path  # <runs>/<study>
    keep: int  # best finished trials
    quota_bytes: int  # of all checkpoints together

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
        """The checkpoints of every attempt at a trial."""
        removed = []
        for path in self.folder.glob(f"{number}/*/{CHECKPOINT}"):
            try:
                path.unlink()
            except OSError as error:
                logger.warning("a checkpoint that is no longer needed stays: %s", error)
            else:
                removed.append(path)
        return removed

    def _size(self) -> int:
        """Bytes of all checkpoints; one that goes meanwhile counts nothing."""
        total = 0
        for path in self.folder.glob(f"*/*/{CHECKPOINT}"):
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                continue
        return total
