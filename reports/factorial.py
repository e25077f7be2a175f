"""Effects of a factorial design: contrasts of the runs' daily skill, seed by seed, under the rule of the verdicts.

Shape legend: R runs, S seeds, T days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from reports.daily import Skill, by_seed, primary_horizon
from reports.evidence import StudyEvidence
from reports.inference.effect import MIN_SEEDS, Effect, effect
from reports.inference.long_run import Array
from reports.inference.verdict import ALPHA, benjamini_hochberg
from storage.record import TrialRecord

TIMES = " x "
MAIN = ("needed by this tuning", "less with it, which another tuning may change")
PAIR = ("each is worth more beside the other", "each is worth less beside the other")
NO_DESIGN = "the space has no factorial design; `python -m trial.sweep interactions` has one"


@dataclass(frozen=True)
class FactorialEffect:
    """Of one switch, on minus off; or of two, half of what the first one's effect gains by the second."""

    name: str
    aliases: tuple[str, ...]  # what it cannot be told from
    effect: Effect  # of daily RankIC
    seeds_S: Array  # its mean over days, by seed
    adjusted_p: float  # Benjamini and Hochberg's, among all of them
    filled_agrees: bool  # whether zero skill for the trials that are missing says the same

    @property
    def in_words(self) -> str:
        if self.effect.num_seeds < MIN_SEEDS:
            return f"fewer than {MIN_SEEDS} seeds"
        if self.adjusted_p > ALPHA:
            return "nothing found"
        if not self.filled_agrees:
            return "undecided: not so with zero skill for the missing trials"
        gains, loses = PAIR if TIMES in self.name else MAIN
        return gains if self.effect.mean > 0 else loses


@dataclass(frozen=True)
class FactorialFindings:
    """Of one confirm study."""

    horizon: int  # trading days
    num_runs: int
    num_missing: int  # seeds that not all runs completed
    num_days: int
    effects: tuple[FactorialEffect, ...]


def factorial_findings(confirm: StudyEvidence | None) -> FactorialFindings | str:
    """The effects, or in words why there are none."""
    if confirm is None:
        return "the confirm stage was not run"
    if (design := confirm.attributes.get("design")) is None:
        return NO_DESIGN
    if not (horizons := confirm.attributes.get("horizons")):
        return "no confirm trial has begun"
    return find_effects(confirm.compared, design["levels"], design["aliases"], primary_horizon(horizons))


def find_effects(
    records: Sequence[TrialRecord],
    levels: Mapping[str, Mapping[str, int]],
    aliases: Sequence[Sequence[str]],
    horizon: int,
) -> FactorialFindings | str:
    """By contrasts of the runs; an effect of sum c_r y_r 2 / R has the same variance whatever it is of.

    Args:
        records: of the confirm study.
        levels: by arm and factor, +1 on, -1 off.
        aliases: effects that cannot be told from each other, the one to name first.
        horizon: h in trading days.
    """
    skills = {arm: by_seed(records, arm, horizon) for arm in levels}
    seeds = sorted(set().union(*skills.values()))
    whole = [seed for seed in seeds if all(seed in own for own in skills.values())]
    days = sorted(set.intersection(*(set(own[seed]) for own in skills.values() for seed in own))) if whole else []
    if len(whole) < 2 or len(days) < 2:
        return (
            f"common to the {len(levels)} runs are {len(whole)} whole seeds and {len(days)} days; 2 of each are needed"
        )
    y_RST = np.array([[_values(own.get(seed), days) for seed in seeds] for own in skills.values()])
    whole_S = np.flatnonzero(np.isin(seeds, whole))
    found = [_effect(words, levels, y_RST, whole_S, horizon) for words in aliases]
    adjusted = benjamini_hochberg([each.effect.p_value for each in found])
    return FactorialFindings(
        horizon,
        len(levels),
        len(seeds) - len(whole),
        len(days),
        tuple(replace(each, adjusted_p=p) for each, p in zip(found, adjusted, strict=True)),
    )


def _effect(
    words: Sequence[str],
    levels: Mapping[str, Mapping[str, int]],
    y_RST: Array,
    whole_S: npt.NDArray[np.intp],
    horizon: int,
) -> FactorialEffect:
    sign_R = np.array([np.prod([own[factor] for factor in words[0].split(TIMES)]) for own in levels.values()])
    filled_ST = np.einsum("r,rst->st", sign_R, y_RST) * 2 / len(sign_R)
    d_ST = filled_ST[whole_S]
    own, filled = effect(d_ST, horizon), effect(filled_ST, horizon)
    agrees = bool(np.sign(own.mean) == np.sign(filled.mean) and filled.p_value <= ALPHA)
    return FactorialEffect(words[0], tuple(words[1:]), own, d_ST.mean(axis=1), own.p_value, agrees)


def _values(skill: Skill | None, days: Sequence[str]) -> list[float]:
    return [0.0] * len(days) if skill is None else [skill[day] for day in days]
