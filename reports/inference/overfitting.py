"""Whether picking the best of many says anything: backtest overfitting, and superior predictive ability.

Shape legend: C configurations, T days, B blocks of days, P pairs of halves.

Bailey, Borwein, Lopez de Prado, Zhu 2017, "The Probability of Backtest Overfitting", Journal of Computational Finance
20(4); Hansen 2005, "A Test for Superior Predictive Ability", Journal of Business and Economic Statistics 23(4).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from arch.bootstrap import SPA

from reports.inference.long_run import Array

FEWEST_CONFIGURATIONS = 16
BLOCKS = (12, 10, 8, 6, 4)  # as many as leave blocks four times as long as what is dropped at their seams
PERMUTATIONS, BAND = 200, (0.025, 0.975)
REPETITIONS = 1000  # of the bootstrap


@dataclass(frozen=True)
class Overfitting:
    """How often the best half of the time is below the median in the other half."""

    probability: float
    low: float  # of what it would be if no configuration were better than another: .025 and .975 of permutations
    high: float
    num_configurations: int
    num_blocks: int
    block_days: int  # that count, of each block


def backtest_overfitting(skill_CT: Array, horizon: int, delay: int, seed: int = 0) -> Overfitting | str:
    """CSCV: every way to halve the blocks of days; the best of one half is ranked in the other.

    At the end of each block horizon + delay days are left out, whose labels reach into the next one. The band permutes
    configurations within each block, so that what they share of its days stays and what they keep over time goes.

    Args:
        skill_CT: [C, T] daily skill on common days in calendar order, of full budget.
        horizon: h of the labels, in days.
        delay: days between score and entry.
        seed: of the permutations.

    Returns:
        The share, or in words why it is not computed.
    """
    number, days = skill_CT.shape
    if number < FEWEST_CONFIGURATIONS:
        return f"not computed: {number} configurations have their full budget, and {FEWEST_CONFIGURATIONS} are needed"
    seam = horizon + delay
    blocks = next((count for count in BLOCKS if days // count >= 5 * seam), None)
    if blocks is None:
        return f"not computed: {days} days are too few for {BLOCKS[-1]} blocks that lose {seam} days each"
    length = days // blocks
    cut_CBT = skill_CT[:, : blocks * length].reshape(number, blocks, length)[:, :, : length - seam]
    mean_CB = cut_CBT.mean(axis=2)
    rng = np.random.default_rng(seed)
    null = [_probability(rng.permuted(mean_CB, axis=0)) for _ in range(PERMUTATIONS)]
    low, high = np.quantile(null, BAND)
    return Overfitting(_probability(mean_CB), float(low), float(high), number, blocks, length - seam)


def _probability(mean_CB: Array) -> float:
    """purgedcv's, whose loop over configurations in Python would take minutes for the band; a test holds it to that."""
    number, blocks = mean_CB.shape
    chosen = list(itertools.combinations(range(blocks), blocks // 2))
    halves_PB = np.zeros((len(chosen), blocks))
    halves_PB[np.arange(len(chosen))[:, None], chosen] = 1
    inside_PC, outside_PC = halves_PB @ mean_CB.T, (1 - halves_PB) @ mean_CB.T
    best_P = inside_PC.argmax(axis=1)
    own_P1 = np.take_along_axis(outside_PC, best_P[:, None], axis=1)
    rank_P = (outside_PC < own_P1).sum(axis=1) + ((outside_PC == own_P1).sum(axis=1) + 1) / 2
    return float((rank_P / (number + 1) < 0.5).mean())


def superior_ability(skill_CT: Array, references: Mapping[str, Array], horizon: int, seed: int = 0) -> dict[str, float]:
    """By reference, the chance of so good a best configuration if none were better than it; arch's consistent p value.

    Args:
        skill_CT: [C, T], of full budget, in calendar order.
        references: [T] each, on the same days.
        horizon: h; blocks of the stationary bootstrap are 2 h days long on average.
        seed: of the bootstrap.
    """
    found = {}
    for name, skill_T in references.items():
        test = SPA(-skill_T, -skill_CT.T, block_size=2 * horizon, reps=REPETITIONS, seed=seed)
        test.compute()
        found[name] = float(test.pvalues["consistent"])
    return found
