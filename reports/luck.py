"""What picking the best of a search is worth: its score deflated by all that was tried, and whether picking helps.

Shape legend: C configurations, T days.

A daily RankIC takes the place of a daily return: its ratio per day is its mean over its long-run deviation (equal-
weighted cosines, so that overlapping labels do not make it larger), and ratio x sqrt(T) is the t statistic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from reports.daily import daily_skill, primary_horizon
from reports.deployment import skill_of
from reports.evidence import Evidence
from reports.inference.long_run import Array, ewc_variance, num_cosines, overlap_seen
from reports.inference.overfitting import Overfitting, backtest_overfitting, superior_ability
from reports.inference.selection import deflated_sharpe_ratio, effective_number, luck, minimum_backtest_years
from storage.record import TrialRecord, best_complete

YEAR = 252  # trading days
ASKED_RATIO = 1.0  # annual, that minimum backtest length is told for


@dataclass(frozen=True)
class Deflated:
    """The search's best, given that it was picked from so many."""

    num_trials: float  # N
    expected: float  # annual ratio that the best of N without skill is expected to show
    probability: float  # deflated Sharpe ratio: that its own is above zero


@dataclass(frozen=True)
class Luck:
    """Of one search."""

    trial: int  # that was picked
    horizon: int  # trading days
    num_days: int
    ratio: float  # annual
    t_value: float
    degrees: int
    num_complete: int  # configurations with full budget
    correlation: float  # mean, of their daily skill
    raw: Deflated
    effective: Deflated
    years: float  # that N configurations need, before the best without skill stays below an annual ratio of 1
    overfitting: Overfitting | str
    superior: Mapping[str, float]  # reference -> Hansen's p value


def measure_luck(evidence: Evidence) -> Luck | str:
    """The numbers, or in words why there are none."""
    search = evidence.search
    if search is None:
        return "there was no search"
    horizons = search.attributes.get("horizons")
    complete = [record for record in search.compared if record.state == "COMPLETE"]
    if not horizons or len(complete) < 2:
        return "fewer than two trials of the search are COMPLETE"
    horizon = primary_horizon(horizons)
    days, skill_CT = _common(complete, horizon)
    best = best_complete(search.records)
    if best is None or len(days) < 2:
        return "no day was scored by every COMPLETE trial"
    ratio_C = _ratios(skill_CT, horizon)
    picked = [record.number for record in complete].index(best.number)
    correlation = _mean_correlation(skill_CT)
    tried = max(len(complete), evidence.tried.configurations if evidence.tried is not None else 0)
    own_T, own, spread = skill_CT[picked], float(ratio_C[picked]), float(ratio_C.var(ddof=1))
    references = {
        name: np.array([skill[day] for day in days])
        for name, skill in skill_of(evidence.search_references, horizon).items()
        if all(day in skill for day in days)
    }
    return Luck(
        trial=best.number,
        horizon=horizon,
        num_days=len(days),
        ratio=own * math.sqrt(YEAR),
        t_value=own * math.sqrt(len(days)),
        degrees=num_cosines(len(days), horizon),
        num_complete=len(complete),
        correlation=correlation,
        raw=_deflated(own_T, own, spread, tried),
        effective=_deflated(own_T, own, spread, effective_number(tried, correlation)),
        years=minimum_backtest_years(tried, ASKED_RATIO),
        overfitting=backtest_overfitting(skill_CT, horizon, _delay(best)),
        superior=superior_ability(skill_CT, references, horizon),
    )


def _common(records: Sequence[TrialRecord], horizon: int) -> tuple[list[str], Array]:
    """([T] days that all of them scored, in calendar order; [C, T])."""
    skills = [daily_skill(record, horizon) for record in records]
    days = sorted(set.intersection(*map(set, skills)))
    return days, np.array([[skill[day] for day in days] for skill in skills])


def _ratios(skill_CT: Array, horizon: int) -> Array:
    """[C], per day; 0 where a series does not vary."""
    days = skill_CT.shape[1]
    nu = num_cosines(days, horizon)
    deviation_C = np.sqrt(ewc_variance(skill_CT, nu) / overlap_seen(nu, days, horizon))
    mean_C = skill_CT.mean(axis=1)
    return np.divide(mean_C, deviation_C, out=np.zeros_like(mean_C), where=deviation_C > 0)


def _mean_correlation(skill_CT: Array) -> float:
    """Over pairs; those of a series that does not vary are left out."""
    varied = skill_CT[skill_CT.std(axis=1) > 0]
    if len(varied) < 2:
        return 0.0
    pairs = np.corrcoef(varied)[np.triu_indices(len(varied), 1)]
    return float(np.clip(pairs.mean(), 0, 1))


def _deflated(own_T: Array, ratio: float, variance: float, number: float) -> Deflated:
    shape = (float(stats.skew(own_T)), float(stats.kurtosis(own_T, fisher=False)))
    probability = deflated_sharpe_ratio(ratio, number, variance, len(own_T), *shape)
    return Deflated(number, luck(number, variance) * math.sqrt(YEAR), probability)


def _delay(record: TrialRecord) -> int:
    return int((record.config or {}).get("data", {}).get("delay", 1))
