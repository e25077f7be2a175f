"""Durations as people write them."""

from __future__ import annotations

import pytest

from search_spaces.errors import SpaceError
from trial.duration import parse_duration


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2H", 7200), (" 1d ", 86400)])
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5m", "soon", "5 weeks", "1h30m"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(SpaceError, match="duration"):
        parse_duration(text)
