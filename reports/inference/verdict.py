"""One word per arm, from a family of arms that is tested once.

Holm 1979, Scandinavian Journal of Statistics 6; Schuirmann 1987 for 'no difference larger than X'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from scipy import stats

from reports.inference.effect import Effect

ALPHA = 0.05
EQUIVALENCE = 0.005  # X: a difference of daily RankIC that nobody would act on


class Word(Enum):
    """Of the arm against the reference."""

    HELPS = "helps"
    HURTS = "hurts"
    NO_DIFFERENCE = "no difference larger than"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Verdict:
    """Of one arm, in its family."""

    word: Word
    effect: Effect  # of the completed pairs
    adjusted_p: float  # Holm's, within the family
    low: float  # simultaneous over the family (Bonferroni), at 1 - ALPHA
    high: float
    why: str = ""  # where a word was taken back


def verdicts(
    effects: Mapping[str, Effect],
    with_missing: Mapping[str, Effect] | None = None,
    equivalence: float = EQUIVALENCE,
    num_declared: int | None = None,
) -> dict[str, Verdict]:
    """What may be said of every arm.

    Args:
        effects: of the completed pairs, by arm.
        with_missing: of the same arms, where diverged or failed trials count as zero skill; None: none is missing.
        equivalence: X, declared before launch.
        num_declared: arms of the family, those without an effect among them: what fails does not make it smaller.
            None: as many as there are effects.

    Returns:
        By arm. A word needs Holm's test and the simultaneous interval; where missing pairs change it, it is undecided.
    """
    size = len(effects) if num_declared is None else num_declared
    own = _family(effects, equivalence, size)
    if with_missing is None:
        return own
    filled = _family(with_missing, equivalence, size)
    return {arm: _agreed(verdict, filled[arm]) for arm, verdict in own.items()}


def _family(effects: Mapping[str, Effect], equivalence: float, size: int) -> dict[str, Verdict]:
    """Arms without an effect count as such of a p-value of 1."""
    adjusted = holm([*(found.p_value for found in effects.values()), *[1.0] * (size - len(effects))])
    level = 1 - ALPHA / max(1, size)
    return {
        arm: _verdict(found, p, found.interval(level), equivalence)
        for (arm, found), p in zip(effects.items(), adjusted, strict=False)
    }


def _verdict(found: Effect, adjusted: float, interval: tuple[float, float], equivalence: float) -> Verdict:
    low, high = interval
    within = found.interval(1 - 2 * ALPHA)
    if adjusted <= ALPHA and (low > 0 or high < 0):
        word = Word.HELPS if found.mean > 0 else Word.HURTS
    elif -equivalence < within[0] and within[1] < equivalence:
        word = Word.NO_DIFFERENCE
    else:
        word = Word.UNDECIDED
    return Verdict(word, found, adjusted, low, high)


def _agreed(own: Verdict, filled: Verdict) -> Verdict:
    if own.word is filled.word:
        return own
    why = f"with zero skill for what is missing: {filled.word.value}"
    return Verdict(Word.UNDECIDED, own.effect, own.adjusted_p, own.low, own.high, why)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted so that each is compared with the family's alpha. Statsmodels' own collects the process's garbage at
    every call, which is nine tenths of a calibration's time; a test holds this one to it."""
    ranks = np.argsort(p_values, kind="stable")
    stepped = np.asarray(p_values)[ranks] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[ranks] = np.minimum(1.0, np.maximum.accumulate(stepped))
    return [float(p) for p in adjusted]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """For what is exploratory: the share of false findings, Benjamini and Hochberg 1995."""
    return [float(p) for p in stats.false_discovery_control(p_values)] if p_values else []
