"""How often the verdict is wrong, and how often it finds what is there: on simulated markets whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from reports.inference.effect import MIN_SEEDS, Effect, effect, needs_seeds
from reports.inference.long_run import Array
from reports.inference.simulated import Setting, simulate
from reports.inference.verdict import ALPHA, EQUIVALENCE, Verdict, Word, verdicts

MOST_SEEDS = 20  # as many as a study may have
TOLD = (Word.HELPS, Word.HURTS)


@dataclass(frozen=True)
class Rate:
    """A share of simulated markets, with its exact bounds."""

    hits: int
    number: int

    @property
    def share(self) -> float:
        return self.hits / self.number if self.number else float("nan")

    @property
    def bounds(self) -> tuple[float, float]:
        """95 %, Clopper and Pearson 1934, Biometrika 26."""
        found = stats.binomtest(self.hits, self.number).proportion_ci(0.95, method="exact")
        return float(found.low), float(found.high)


@dataclass(frozen=True)
class Calibration:
    """Of one setting."""

    setting: Setting
    false: Rate  # markets in which a word was said of an arm without effect, or the opposite one of an arm with one
    found: Rate  # arms with an effect of which the right word was said
    covered: Rate  # arms whose own 95 % interval holds the truth
    all_covered: Rate  # markets in which every simultaneous interval does
    wrongly_equal: Rate  # arms with an effect of at least X that were called no larger than X
    seeds: float  # that were trained, on average


def calibrate(setting: Setting, markets: int, seed: int) -> Calibration:
    """Gives a verdict on every arm of so many markets, seeds added as the rule has it, and counts.

    Args:
        setting: of the markets.
        markets: to simulate.
        seed: of the first; equal seeds give equal counts.
    """
    truth, trained = setting.effects, []
    false = found = covered = all_covered = equal = 0
    for number in range(markets):
        rng = np.random.default_rng([seed, number])
        effects = judged_effects(simulate(rng, setting, MOST_SEEDS), setting.horizon)
        given = list(verdicts({str(arm): each for arm, each in enumerate(effects)}).values())
        trained.append(effects[0].num_seeds)
        false += any(_is_false(verdict, true) for verdict, true in zip(given, truth, strict=True))
        found += sum(_is_found(verdict, true) for verdict, true in zip(given, truth, strict=True))
        covered += sum(_holds(each.interval(1 - ALPHA), true) for each, true in zip(effects, truth, strict=True))
        all_covered += all(_holds((each.low, each.high), true) for each, true in zip(given, truth, strict=True))
        equal += sum(
            each.word is Word.NO_DIFFERENCE and abs(true) >= EQUIVALENCE
            for each, true in zip(given, truth, strict=True)
        )
    planted = sum(true != 0 for true in truth)
    return Calibration(
        setting,
        Rate(false, markets),
        Rate(found, markets * planted),
        Rate(covered, markets * len(truth)),
        Rate(all_covered, markets),
        Rate(equal, markets * sum(abs(true) >= EQUIVALENCE for true in truth)),
        float(np.mean(trained)),
    )


def judged_effects(d_AST: Array, horizon: int) -> Sequence[Effect]:
    """Of every arm, with the fewest seeds, common to all arms, that the rule is content with."""
    for seeds in range(MIN_SEEDS, d_AST.shape[1] + 1):
        found = [effect(d_ST, horizon) for d_ST in d_AST[:, :seeds]]
        if not any(map(needs_seeds, found)):
            break
    return found


def _is_false(verdict: Verdict, true: float) -> bool:
    return verdict.word in TOLD and (true == 0 or (verdict.word is Word.HELPS) != (true > 0))


def _is_found(verdict: Verdict, true: float) -> bool:
    return true != 0 and verdict.word is (Word.HELPS if true > 0 else Word.HURTS)


def _holds(interval: tuple[float, float], true: float) -> bool:
    return interval[0] <= true <= interval[1]
