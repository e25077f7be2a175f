"""Durations as people write them."""

from __future__ import annotations

import pytest

from search_spaces.errors import SpaceError
from trial.duration import in_units, parse_duration


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1.5m", 90), ("2H", 7200), (" 1d ", 86400)])
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "30", "0s", "-5m", "soon", "5 weeks", "1h30m"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(SpaceError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(90, "90s"), (120, "2m"), (5400, "90m"), (7200, "2h"), (86400, "1d"), (0.5, "0.5s")]
)
def test_they_are_written_in_the_largest_whole_unit(seconds: float, text: str) -> None:
    assert in_units(seconds) == text
    assert parse_duration(text) == seconds
