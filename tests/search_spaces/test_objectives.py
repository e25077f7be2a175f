"""Objectives and constraints are functions of a trial's epochs, named and bounded in words."""

from __future__ import annotations

import math

import pytest

from search_spaces.errors import SpaceError
from search_spaces.objectives import OBJECTIVES, find_objectives, parse_constraint

RESULTS = [
    {"value": 0.01, "seconds": 2.0, "peak_memory_mib": 900.0, "scorecard": {}},
    {"value": 0.03, "seconds": 3.0, "peak_memory_mib": 800.0, "scorecard": {"turnover/1": 0.5, "turnover/5": 0.1}},
]


def test_each_is_what_its_name_says() -> None:
    assert {name: each.of(RESULTS) for name, each in OBJECTIVES.items()} == {
        "rank_ic": 0.03,
        "seconds": 5.0,
        "turnover": pytest.approx(0.3),
        "memory": 900.0,
    }
    assert [each.direction for each in OBJECTIVES.values()] == ["maximize", "minimize", "minimize", "minimize"]


def test_what_was_not_measured_is_no_number() -> None:
    assert math.isnan(OBJECTIVES["turnover"].of(RESULTS[:1]))


@pytest.mark.parametrize(
    "names", [(), ("seconds",), ("rank_ic", "rank_ic"), ("rank_ic", "sharpe"), ("seconds", "rank_ic")]
)
def test_wrong_objectives_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(SpaceError, match="objective"):
        find_objectives(names)


@pytest.mark.parametrize(
    ("text", "violation"), [("turnover<=0.2", 0.1), ("rank_ic >= 0.02", -0.01), ("memory<=1e3", -100)]
)
def test_a_constraint_is_broken_by_what_exceeds_it(text: str, violation: float) -> None:
    constraint = parse_constraint(text)
    assert constraint.violation(RESULTS) == pytest.approx(violation)
    assert parse_constraint(str(constraint)) == constraint


@pytest.mark.parametrize(
    "text", ["", "turnover", "turnover<0.3", "turnover<=", "turnover<=x", "turnover<=nan", "sharpe>=1"]
)
def test_what_is_no_constraint_is_refused(text: str) -> None:
    with pytest.raises(SpaceError, match="NAME<=NUMBER"):
        parse_constraint(text)
