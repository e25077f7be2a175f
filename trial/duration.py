"""Durations as people write them: 90s, 30m, 2h, 1d. A number alone could be anything."""

from __future__ import annotations

import re

from search_spaces.errors import SpaceError

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(text: str) -> float:
    """Seconds of a positive duration.

    Raises:
        SpaceError: not a duration.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", text.lower())
    if match is None or float(match[1]) <= 0:
        raise SpaceError(f"a duration must be a positive number with its unit (90s, 30m, 2h, 1d), got {text!r}.")
    return float(match[1]) * SECONDS[match[2]]


def in_units(seconds: float) -> str:
    """The other way round, in the largest unit that gives a whole number: '5m'."""
    for unit in reversed(SECONDS):
        if seconds >= SECONDS[unit] and seconds % SECONDS[unit] == 0:
            return f"{seconds / SECONDS[unit]:g}{unit}"
    return f"{seconds:g}s"
