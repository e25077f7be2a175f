"""Counting on simulated markets: what is false, found and covered, and that wrong statistics would be seen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reports import calibration
from reports.calibration import Rate, calibrate, judged_effects
from reports.inference.effect import Effect
from reports.inference.simulated import DAY_SD, SEED_DAY_SD, Days, Setting, overlapping, simulate
from reports.inference.verdict import Word, verdicts

MARKETS = 150


def test_bounds_are_exact() -> None:
    low, high = Rate(3, 40).bounds
    assert stats.binom.sf(2, 40, low) == pytest.approx(0.025)
    assert stats.binom.cdf(3, 40, high) == pytest.approx(0.025)
    assert Rate(0, 40).bounds[0] == 0


@pytest.mark.parametrize("kind", ["normal", "heavy", "regimes", "drifting"])
def test_markets_have_the_deviations_and_overlaps_that_they_say(kind: Days) -> None:
    setting = Setting(1000, 5, kind, seed_sd=0.0, effects=(0.0, 0.3))
    d_AST = np.concatenate([simulate(np.random.default_rng(n), setting, 6) for n in range(40)], axis=1)
    assert d_AST.mean(axis=(1, 2)) == pytest.approx([0.0, 0.3], abs=0.01)
    if kind in ("normal", "heavy"):
        assert d_AST[0].std() == pytest.approx(np.hypot(DAY_SD, SEED_DAY_SD), rel=0.05)
    arms = np.corrcoef(d_AST[0].ravel(), d_AST[1].ravel())[0, 1]
    assert arms == pytest.approx(0.5, abs=0.1)
    lags = [np.corrcoef(d_AST[0, :, :-lag].ravel(), d_AST[0, :, lag:].ravel())[0, 1] for lag in (1, 4, 8)]
    assert lags[0] > 0.7
    assert lags[1] > 0.1
    if kind != "drifting":
        assert abs(lags[2]) < 0.05


def test_the_overlap_is_that_of_labels() -> None:
    shocks = np.arange(7.0)
    assert overlapping(shocks, 3) == pytest.approx(np.convolve(shocks, np.ones(3), "valid") / np.sqrt(3))


def test_words_on_markets_without_an_effect_are_rare_and_intervals_cover() -> None:
    found = calibrate(Setting(250, 5), MARKETS, seed=1)
    assert found.false.bounds[0] <= 0.06
    assert found.covered.bounds[1] >= 0.94
    assert found.found.number == 0
    assert calibrate(Setting(250, 5), MARKETS, seed=1) == found


def test_what_is_planted_is_found_and_its_sign_counts() -> None:
    found = calibrate(Setting(500, 5, effects=(-0.03, 0.03)), 40, seed=2)
    assert found.found.share > 0.9
    assert found.found.number == 80
    assert found.false.hits == 0


def test_an_error_that_is_too_small_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days taken for independent: what the rule is there to prevent."""

    def naive(d_ST: np.ndarray, horizon: int) -> Effect:
        daily_T = d_ST.mean(axis=0)
        return Effect(
            float(daily_T.mean()), float(daily_T.var() / len(daily_T)), 0.0, len(daily_T) - 1, 5, len(daily_T)
        )

    monkeypatch.setattr(calibration, "effect", naive)
    found = calibrate(Setting(250, 20), 60, seed=3)
    assert found.false.bounds[0] > 0.06
    assert found.covered.bounds[1] < 0.94


def test_seeds_are_added_in_common_until_all_arms_are_content() -> None:
    setting = Setting(500, 1, seed_sd=0.02)
    d_AST = simulate(np.random.default_rng(4), setting, 20)
    found = judged_effects(d_AST, 1)
    assert {each.num_seeds for each in found} == {20}
    calm = judged_effects(simulate(np.random.default_rng(4), Setting(500, 20, seed_sd=0.0), 20), 20)
    assert {each.num_seeds for each in calm} <= set(range(5, 20))
    given = verdicts({str(arm): each for arm, each in enumerate(found)})
    assert {each.word for each in given.values()} <= set(Word)
