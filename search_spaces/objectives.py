"""What a COMPLETE trial is judged by, and what it must keep within: functions of its EpochResults as plain values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from search_spaces.errors import SpaceError

Results = Sequence[Mapping[str, Any]]  # of all epochs, in order
RANK_IC = "rank_ic"


@dataclass(frozen=True)
class Objective:
    """One number of a finished trial; the first one of a study is RankIC, by which early stopping goes."""

    name: str
    direction: Literal["maximize", "minimize"]
    of: Callable[[Results], float]
    summary: str  # with its unit


def _turnover(results: Results) -> float:
    """Mean over horizons of the share of a long-short tranche that is traded per day."""
    found = [value for key, value in results[-1]["scorecard"].items() if key.startswith("turnover/")]
    return sum(found) / len(found) if found else math.nan


OBJECTIVES: dict[str, Objective] = {
    each.name: each
    for each in (
        Objective(RANK_IC, "maximize", lambda results: results[-1]["value"], "daily RankIC, weighted over horizons"),
        Objective("seconds", "minimize", lambda results: sum(r["seconds"] for r in results), "seconds of training"),
        Objective("turnover", "minimize", _turnover, "share of a long-short tranche that is traded per day"),
        Objective("memory", "minimize", lambda results: max(r["peak_memory_mib"] for r in results), "peak memory, MiB"),
    )
}


@dataclass(frozen=True)
class Constraint:
    """A bound on one of the objectives' numbers; a trial beyond it is never the best."""

    name: str
    relation: Literal["<=", ">="]
    bound: float

    def violation(self, results: Results) -> float:
        """By how much the bound is broken; at most 0 where it holds."""
        value = OBJECTIVES[self.name].of(results)
        return value - self.bound if self.relation == "<=" else self.bound - value

    def __str__(self) -> str:
        return f"{self.name}{self.relation}{self.bound:g}"


def find_objectives(names: Sequence[str]) -> tuple[Objective, ...]:
    """Those of the names.

    Raises:
        SpaceError: an unknown one, one twice, or the first one is not RankIC.
    """
    for name in names:
        if name not in OBJECTIVES:
            raise SpaceError(f"an objective must be one of {', '.join(OBJECTIVES)}, got {name!r}.")
    if len(set(names)) < len(names) or not names or names[0] != RANK_IC:
        raise SpaceError(
            f"objectives must be {RANK_IC} and then others, each once, because early stopping goes by the first one; "
            f"got {', '.join(names) or 'none'}."
        )
    return tuple(OBJECTIVES[name] for name in names)


def parse_constraint(text: str) -> Constraint:
    """Of 'turnover<=0.5' or 'rank_ic>=0.01'.

    Raises:
        SpaceError: it is no such sentence.
    """
    match = re.fullmatch(r"\s*(\w+)\s*(<=|>=)\s*(\S+)\s*", text)
    try:
        bound = float(match[3]) if match else math.nan
    except ValueError:
        bound = math.nan
    if match is None or match[1] not in OBJECTIVES or not math.isfinite(bound):
        raise SpaceError(
            f"a constraint must read NAME<=NUMBER or NAME>=NUMBER, of {', '.join(OBJECTIVES)}; got {text!r}."
        )
    return Constraint(match[1], "<=" if match[2] == "<=" else ">=", bound)
