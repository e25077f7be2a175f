"""The headline of an arm: its parts, its degrees of freedom, and by simulation how often it is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reports.inference.effect import Effect, effect, more_days, needs_seeds, satterthwaite
from reports.inference.long_run import ewc_variance, num_cosines, overlap_seen
from tests.reports.inference.series import paired

DRAWS = 500


def test_its_parts_are_those_of_the_rule() -> None:
    d_ST = paired(np.random.default_rng(0), 6, 250, 5, mean=0.3)
    found, nu = effect(d_ST, 5), num_cosines(250, 5)
    assert found.mean == pytest.approx(d_ST.mean())
    seen = overlap_seen(nu, 250, 5)
    assert found.days_part == pytest.approx(float(ewc_variance(d_ST.mean(axis=0), nu)) / seen / 250)
    assert found.seeds_part == pytest.approx(d_ST.mean(axis=1).var(ddof=1) / 6)
    assert found.standard_error**2 == pytest.approx(found.days_part + found.seeds_part)
    assert found.degrees == pytest.approx(satterthwaite(found.days_part, nu, found.seeds_part, 5))
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(found.mean) / found.standard_error, found.degrees))
    low, high = found.interval(0.95)
    assert (low + high) / 2 == pytest.approx(found.mean)
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, found.degrees) * found.standard_error)


def test_satterthwaite_is_welchs_for_two_samples() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=7), 3 * rng.normal(size=12)
    welch = stats.ttest_ind(one, other, equal_var=False).df
    assert satterthwaite(one.var(ddof=1) / 7, 6, other.var(ddof=1) / 12, 11) == pytest.approx(welch)


@pytest.mark.parametrize("seed_sd", [0.05, 0.4])
@pytest.mark.parametrize(("days", "horizon"), [(500, 1), (500, 20), (250, 5)])
def test_of_null_markets_no_more_are_told_apart_than_is_claimed(days: int, horizon: int, seed_sd: float) -> None:
    rng = np.random.default_rng(days + horizon)
    found = [effect(paired(rng, 5, days, horizon, seed_sd=seed_sd), horizon) for _ in range(DRAWS)]
    false = sum(each.p_value <= 0.05 for each in found)
    assert stats.binomtest(false, DRAWS).proportion_ci(0.99).low <= 0.06
    assert false > 0, "a test that never rejects has no size"


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng, true = np.random.default_rng(5), 0.2
    found = [effect(paired(rng, 5, 500, 20, mean=true), 20).interval(0.95) for _ in range(DRAWS)]
    covered = sum(low <= true <= high for low, high in found)
    assert stats.binomtest(covered, DRAWS).proportion_ci(0.99).high >= 0.94


def test_the_power_grows_with_the_days() -> None:
    rng = np.random.default_rng(6)
    power = [
        np.mean([effect(paired(rng, 5, days, 5, mean=0.2, seed_sd=0.02), 5).p_value <= 0.05 for _ in range(150)])
        for days in (125, 500, 2000)
    ]
    assert power[0] < power[1] < power[2]
    assert power[2] > 0.9


@pytest.mark.parametrize(
    ("days_part", "seeds_part", "seeds", "expected"),
    [(0.8, 0.2, 5, True), (0.95, 0.05, 5, False), (0.95, 0.05, 4, True), (0.5, 0.5, 20, False)],
)
def test_seeds_are_added_for_precision(days_part: float, seeds_part: float, seeds: int, expected: bool) -> None:
    for mean in (-5.0, 0.0, 5.0):
        assert needs_seeds(Effect(mean, days_part, seeds_part, 10.0, seeds, 250)) is expected


def test_the_days_that_are_needed() -> None:
    found = Effect(0.01, days_part=4e-4, seeds_part=1e-5, degrees=10.0, num_seeds=5, num_days=250)
    days = 250 + more_days(found, wanted=0.02)
    assert 4e-4 * 250 / days + 1e-5 <= (0.02 / 2) ** 2 < 4e-4 * 250 / (days - 1) + 1e-5
    assert more_days(found, wanted=1.0) == 0
    with pytest.raises(ValueError, match="days cannot help"):
        more_days(found, wanted=0.005)


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 seeds and 2 days, got 1 and 9"):
        effect(np.zeros((1, 9)), 1)
    with pytest.raises(ValueError, match="must be finite"):
        effect(np.full((5, 9), np.nan), 1)


def test_no_difference_at_all_is_no_finding() -> None:
    same = effect(np.zeros((5, 100)), 5)
    assert (same.p_value, same.standard_error, same.seeds_share) == (1.0, 0.0, 0.0)
    assert same.interval(0.95) == (0.0, 0.0)
