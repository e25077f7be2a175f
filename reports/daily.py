"""Daily skill of the confirm trials, paired: each arm minus the reference on identical days, seed by seed.

Shape legend: S seeds, T days.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reports.inference.long_run import Array
from storage.record import TrialRecord

PRIMARY_HORIZON = 5  # trading days: the endpoint that the verdict goes by, where the market has it
Skill = dict[str, float]  # ISO day -> daily RankIC


@dataclass(frozen=True)
class DailyPairs:
    """One arm against the reference."""

    arm: str
    days: tuple[str, ...]  # [T] ISO, in calendar order, of all folds
    d_ST: Array  # of the seeds that both sides completed on every fold
    filled_ST: Array  # of all seeds, where a side that is missing has zero skill
    num_missing: int  # seeds that are only in the latter


def primary_horizon(horizons: Sequence[int]) -> int:
    """Five days, or the nearest that there is (the shorter of two)."""
    return min(horizons, key=lambda horizon: (abs(math.log(horizon / PRIMARY_HORIZON)), horizon))


def daily_pairs(records: Sequence[TrialRecord], reference: str, horizon: int) -> dict[str, DailyPairs]:
    """By arm, in the order in which arms come; those without one day that both sides scored are left out.

    Args:
        records: of a confirm study.
        reference: name of the arm that the others differ from.
        horizon: h in trading days.
    """
    cells = {(str(r.arm), r.seed, str(r.fold)): daily_skill(r, horizon) for r in records if r.arm is not None}
    arms = [arm for arm in dict.fromkeys(arm for arm, *_ in cells) if arm != reference]
    found = {arm: _pair(cells, arm, reference) for arm in arms}
    return {arm: pairs for arm, pairs in found.items() if pairs.d_ST.size}


def by_seed(records: Sequence[TrialRecord], arm: str, horizon: int) -> dict[int, Skill]:
    """Seed -> daily skill of one arm, of the seeds that are COMPLETE on every fold."""
    cells = {(str(r.arm), r.seed, str(r.fold)): daily_skill(r, horizon) for r in records if r.arm == arm}
    folds = sorted({fold for *_, fold in cells})
    seeds = sorted({seed for _, seed, _ in cells if seed is not None})
    found = {seed: _joined(cells, arm, seed, folds) for seed in seeds}
    return {seed: skill for seed, skill in found.items() if skill is not None}


def daily_skill(record: TrialRecord, horizon: int) -> Skill:
    """Of its last epoch; empty where the trial is not COMPLETE or does not have the horizon. Undefined days are left
    out."""
    if record.state != "COMPLETE" or record.config is None:
        return {}
    horizons = record.config.get("data", {}).get("horizons", [])
    return skill_at(horizon, horizons, record.curve[-1].get("daily_rank_ic", {}))


def skill_at(horizon: int, horizons: Sequence[int], daily: Mapping[str, Sequence[float | None]]) -> Skill:
    """Of one horizon; empty where it is not among them. Undefined days are left out."""
    if horizon not in horizons:
        return {}
    place = horizons.index(horizon)
    return {day: value for day, values in daily.items() if (value := values[place]) is not None}


def _pair(cells: dict[tuple[str, int | None, str], Skill], arm: str, reference: str) -> DailyPairs:
    seeds = sorted({seed for name, seed, _ in cells if name == arm and seed is not None})
    folds = sorted({fold for name, _, fold in cells if name == arm})
    sides = [[_joined(cells, name, seed, folds) for name in (arm, reference)] for seed in seeds]
    whole = [own is not None and base is not None for own, base in sides]
    known = [skill for pair in sides for skill in pair if skill is not None]
    days = sorted(set.intersection(*map(set, known))) if known else []
    all_ST = np.array([[_value(own, day) - _value(base, day) for day in days] for own, base in sides])
    all_ST = all_ST.reshape(len(seeds), len(days))
    return DailyPairs(arm, tuple(days), all_ST[whole], all_ST, len(seeds) - sum(whole))


def _joined(cells: dict[tuple[str, int | None, str], Skill], arm: str, seed: int, folds: Sequence[str]) -> Skill | None:
    """Of all folds together; None where one is missing."""
    each = [cells.get((arm, seed, fold), {}) for fold in folds]
    return {day: value for skill in each for day, value in skill.items()} if all(each) else None


def _value(skill: Skill | None, day: str) -> float:
    return 0.0 if skill is None else skill[day]
