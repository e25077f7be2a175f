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
ENDED = ("COMPLETE", "PRUNED", "FAIL")


@dataclass(frozen=True)
class DailyPairs:
    """One arm against the reference."""

    arm: str
    days: tuple[str, ...]  # [T] ISO, in calendar order, of all folds: those that every trial has skill on
    d_ST: Array  # of the seeds that both sides completed on every fold
    filled_ST: Array  # of all seeds that ended, on all days: what is missing or undefined has zero skill
    num_missing: int  # seeds that are only in the latter
    num_undefined: int = 0  # days that are only in the latter: some network ranked nothing there


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
    cells = {(str(r.arm), r.seed, str(r.fold)): r for r in records if r.arm is not None}
    folds = sorted({fold for *_, fold in cells})
    arms = [arm for arm in dict.fromkeys(arm for arm, *_ in cells) if arm != reference]
    seeds = sorted({seed for _, seed, _ in cells if seed is not None})
    sides = {name: [_side(cells, name, seed, folds, horizon) for seed in seeds] for name in (*arms, reference)}
    found = {arm: _pair(arm, sides[arm], sides[reference]) for arm in arms}
    return {arm: pairs for arm, pairs in found.items() if pairs.d_ST.size}


def by_seed(records: Sequence[TrialRecord], arm: str, horizon: int) -> dict[int, Skill]:
    """Seed -> daily skill of one arm, of the seeds that are COMPLETE on every fold."""
    cells = {(str(r.arm), r.seed, str(r.fold)): r for r in records if r.arm == arm}
    folds = sorted({fold for *_, fold in cells})
    seeds = sorted({seed for _, seed, _ in cells if seed is not None})
    found = {seed: _side(cells, arm, seed, folds, horizon) for seed in seeds}
    return {seed: skill for seed, skill in found.items() if skill}


def daily_skill(record: TrialRecord, horizon: int) -> Skill:
    """Of its last epoch; empty where the trial is not COMPLETE or does not have the horizon. Undefined days are left
    out."""
    if record.state != "COMPLETE" or record.config is None or not record.curve:
        return {}
    horizons = record.config.get("data", {}).get("horizons", [])
    return skill_at(horizon, horizons, record.curve[-1].get("daily_rank_ic", {}))


def skill_at(horizon: int, horizons: Sequence[int], daily: Mapping[str, Sequence[float | None]]) -> Skill:
    """Of one horizon; empty where it is not among them. Undefined days are left out."""
    if horizon not in horizons:
        return {}
    place = horizons.index(horizon)
    return {day: value for day, values in daily.items() if (value := values[place]) is not None}


def _pair(arm: str, own: Sequence[Skill | None], base: Sequence[Skill | None]) -> DailyPairs:
    """Of both sides, seed by seed; a seed of which either may still come is left out."""
    ended = [(one, other) for one, other in zip(own, base, strict=True) if one is not None and other is not None]
    whole = [pair for pair in ended if all(pair)]
    known = [skill for pair in ended for skill in pair if skill]
    days = sorted(set.intersection(*map(set, known))) if known else []
    all_days = sorted(set.union(*map(set, known))) if known else []
    undefined = len(all_days) - len(days)
    return DailyPairs(arm, tuple(days), _less(whole, days), _less(ended, all_days), len(ended) - len(whole), undefined)


def _less(pairs: Sequence[tuple[Skill, Skill]], days: Sequence[str]) -> Array:
    """[S, T]: the first minus the second, zero skill where there is none."""
    less = [[one.get(day, 0.0) - other.get(day, 0.0) for day in days] for one, other in pairs]
    return np.array(less).reshape(len(pairs), len(days))


def _side(
    cells: Mapping[tuple[str, int | None, str], TrialRecord], arm: str, seed: int, folds: Sequence[str], horizon: int
) -> Skill | None:
    """Of all folds together; empty where a trial of it did not complete, None where one may still do so."""
    trials = [cells.get((arm, seed, fold)) for fold in folds]
    each = [daily_skill(trial, horizon) for trial in trials if trial is not None and trial.state in ENDED]
    if not all(each):
        return {}
    return {day: value for skill in each for day, value in skill.items()} if len(each) == len(folds) else None
