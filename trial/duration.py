"""Durations as people write them: 90s, 30m, 2h, 1d, or plain seconds."""

from __future__ import annotations

import re

from search_spaces.errors import SpaceError

SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(text: str) -> float:
    """Seconds of a positive duration.

    Raises:
        SpaceError: not a duration.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", text.lower())
    if match is None or float(match[1]) <= 0:
        raise SpaceError(f"a duration must be a positive number with s, m, h or d (30m), got {text!r}.")
    return float(match[1]) * SECONDS[match[2]]
