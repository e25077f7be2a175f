"""What is known of a network on the morning of a day: numbers, for the checks and the page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.monitoring.band import Expected
from reports.monitoring.drift import Drift


@dataclass(frozen=True, eq=False)
class LiveSkill:
    """Daily RankIC on days that the network could not know, T of them whose labels are known."""

    dates: list[str]  # [T] ISO
    rank_ic: np.ndarray  # [T], NaN where undefined
    expected: Expected


@dataclass(frozen=True, eq=False)
class Observed:
    """Of one bundle and one day; a text in the place of a finding says why there is none."""

    bundle: str
    weights: str
    learned: str  # the last day that was learned from, ISO
    day: str  # that is scored, ISO
    stretch: tuple[str, str]  # days that columns and scores are looked at over
    num_learned: int  # of them that the network learned from
    features: Drift | str
    scores: Drift | str
    skill: LiveSkill | str
    num_stocks: int  # scored on the day
    usual_stocks: float
    num_new: int  # stocks that the market did not have when the network learned
    unknown_sectors: float  # share of the day's stocks whose sector the network does not know
    usual_unknown: float
    spread: float  # standard deviation of the day's scores at the primary horizon
    usual_spread: float | None  # median over days that it was scored on
    memory_mib: float  # peak of the process
