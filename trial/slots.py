"""Slots: flights in one slot follow one another in one worker process.

Tune keeps a free worker only for a trial that waits for equal resources, and hands it to any such trial, also to
one whose own worker is about to be up, which it then ends. Where trials are short, a second worker would never come to
be, or every worker would be started again for each trial: start-up is 90 % of a short trial. So each slot asks for
resources of its own, and while trials are short the next one waits in each slot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from trial.order import Flight

SMALLEST_SHARE = 1e-4  # of a CPU that Ray tells apart
SHORT_SECONDS = 30.0  # of a trial; to start a worker takes five to ten


class Slots:
    """As many as trials may run at once."""

    def __init__(self, number: int, may_queue: bool) -> None:
        """`may_queue`: whether a flight that waits in a slot cannot run before its turn, for lack of room."""
        self.number = number
        self._may_queue, self._are_short = may_queue, True

    @property
    def most_flights(self) -> int:
        return self.number * (1 + self._may_queue)

    def free(self, flights: Iterable[Flight]) -> int | None:
        """The slot for the next flight: one that is empty, or, while trials are short, one where nothing waits yet."""
        taken = Counter(flight.slot for flight in flights)
        deepest = 2 if self._may_queue and self._are_short else 1
        emptiest = min(range(self.number), key=lambda slot: (taken[slot], slot))
        return emptiest if taken[emptiest] < deepest else None

    def hear(self, flight: Flight) -> None:
        """A flight has ended: how long did it train?"""
        self._are_short = flight.own_seconds < SHORT_SECONDS


def in_slot(resources: dict[str, float], slot: int) -> dict[str, float]:
    """Resources that only flights of this slot ask for: a hair less than what they take."""
    return resources | {"CPU": max(SMALLEST_SHARE, resources["CPU"] - slot * SMALLEST_SHARE)}
