"""Backtest overfitting held to purgedcv's, with a band of what no skill looks like; the size of Hansen's test."""

from __future__ import annotations

import numpy as np
import pytest
from purgedcv import probability_of_backtest_overfitting

from reports.inference.overfitting import (
    FEWEST_CONFIGURATIONS,
    Overfitting,
    _probability,
    backtest_overfitting,
    superior_ability,
)
from tests.reports.inference.series import overlapping


def skills(rng: np.random.Generator, spread: float, configurations: int = 20, days: int = 240) -> np.ndarray:
    """[C, T]: shared days, own noise, and a level of their own that lasts."""
    shared_T = overlapping(rng, (days,), 5)
    own_CT = overlapping(rng, (configurations, days), 5)
    return shared_T + own_CT + spread * rng.normal(size=(configurations, 1))


@pytest.mark.parametrize("seed", range(3))
def test_the_share_is_purgedcvs(seed: int) -> None:
    mean_CB = np.random.default_rng(seed).normal(size=(17, 8))
    theirs = probability_of_backtest_overfitting(mean_CB, n_splits=8, metric=lambda x: float(np.mean(x)))
    assert _probability(mean_CB) == pytest.approx(theirs.pbo)


def test_equal_ones_share_ranks_as_purgedcvs_do() -> None:
    mean_CB = np.random.default_rng(0).integers(0, 2, (16, 6)).astype(float)
    theirs = probability_of_backtest_overfitting(mean_CB, n_splits=6, metric=lambda x: float(np.mean(x)))
    assert _probability(mean_CB) == pytest.approx(theirs.pbo)


def test_skill_that_lasts_is_below_the_band_and_luck_within_it() -> None:
    rng = np.random.default_rng(1)
    lasting = backtest_overfitting(skills(rng, spread=3.0), horizon=5, delay=1)
    assert isinstance(lasting, Overfitting)
    assert lasting.probability < lasting.low
    assert (lasting.num_configurations, lasting.num_blocks, lasting.block_days) == (20, 8, 24)
    inside = 0
    for _ in range(40):
        found = backtest_overfitting(skills(rng, spread=0.0), horizon=5, delay=1)
        assert isinstance(found, Overfitting)
        inside += found.low <= found.probability <= found.high
    assert inside >= 34


def test_days_at_the_seams_do_not_count() -> None:
    rng = np.random.default_rng(2)
    skill_CT = skills(rng, spread=1.0)
    other_CT = skill_CT.copy()
    for block in range(8):
        other_CT[:, (block + 1) * 30 - 6 : (block + 1) * 30] = rng.normal(size=(20, 6))
    assert backtest_overfitting(other_CT, 5, 1) == backtest_overfitting(skill_CT, 5, 1)


def test_too_few_are_not_computed_and_say_so() -> None:
    rng = np.random.default_rng(3)
    few = backtest_overfitting(skills(rng, 0.0, configurations=FEWEST_CONFIGURATIONS - 1), 5, 1)
    assert few == "not computed: 15 configurations have their full budget, and 16 are needed"
    assert "100 days are too few for 4 blocks" in str(backtest_overfitting(skills(rng, 0.0, days=100), 20, 1))


def test_the_best_of_many_without_skill_is_seldom_superior_and_a_good_one_is() -> None:
    rng, false = np.random.default_rng(4), 0
    for seed in range(30):
        skill_CT = skills(rng, spread=0.0, configurations=10)
        false += superior_ability(skill_CT, {"ridge": skills(rng, 0.0, 1)[0]}, 5, seed)["ridge"] < 0.05
    assert false <= 5
    good_CT = skills(rng, spread=0.0, configurations=10)
    good_CT[3] += 3
    assert superior_ability(good_CT, {"ridge": good_CT[0]}, 5)["ridge"] < 0.01
