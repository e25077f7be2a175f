"""Effects of a factorial design: those of least squares, found where planted, and no more false than they say."""

from __future__ import annotations

import numpy as np
import pytest

from reports.factorial import FactorialFindings, find_effects
from storage.record import TrialRecord
from tests.reports.test_daily import record

ALIASES = [["a", "b x c"], ["b", "a x c"], ["c", "a x b"]]
LEVELS = {  # resolution III, so that aliases are short: c = ab
    "reference": {"a": 1, "b": 1, "c": 1},
    "no_b+no_c": {"a": 1, "b": -1, "c": -1},
    "no_a+no_c": {"a": -1, "b": 1, "c": -1},
    "no_a+no_b": {"a": -1, "b": -1, "c": 1},
}
FULL = {f"{a}{b}": {"a": a, "b": b} for a in (1, -1) for b in (1, -1)}
DAYS = [f"2021-{month:02d}-{day:02d}" for month in range(1, 11) for day in range(1, 26)]
HORIZON = 5


def simulated(rng: np.random.Generator, gains: dict[str, float], seeds: int = 6) -> list[TrialRecord]:
    """Two factors in all combinations; half of a gain on, half off."""
    records, market_T = [], rng.standard_normal(len(DAYS)) * 0.05
    for arm, own in FULL.items():
        sign = {"a": own["a"], "b": own["b"], "a x b": own["a"] * own["b"]}
        level = sum(gain * sign[name] / 2 for name, gain in gains.items())
        for seed in range(seeds):
            skill_T = level + market_T + rng.standard_normal(len(DAYS)) * 0.02 + rng.standard_normal() * 0.002
            records.append(record(arm, seed, "one", dict(zip(DAYS, skill_T.tolist(), strict=True))))
    return records


def found_in(records: list[TrialRecord]) -> FactorialFindings:
    found = find_effects(records, FULL, [["a"], ["b"], ["a x b"]], HORIZON)
    assert isinstance(found, FactorialFindings)
    return found


def test_effects_are_twice_the_coefficients_of_least_squares() -> None:
    rng = np.random.default_rng(0)
    records = simulated(rng, {"a": 0.01, "b": -0.02, "a x b": 0.015})
    means = [np.mean([value[1] for value in each.curve[-1]["daily_rank_ic"].values()]) for each in records]
    rows = [FULL[str(each.arm)] for each in records]
    design = np.array([[1, row["a"], row["b"], row["a"] * row["b"]] for row in rows])
    expected = 2 * np.linalg.lstsq(design, np.array(means))[0][1:]
    np.testing.assert_allclose([each.effect.mean for each in found_in(records).effects], expected, atol=1e-12)


def test_what_is_planted_is_found_in_words() -> None:
    found = found_in(simulated(np.random.default_rng(1), {"a": 0.03, "a x b": 0.03}))
    words = {each.name: each.in_words for each in found.effects}
    assert words == {
        "a": "needed by this tuning",
        "b": "nothing found",
        "a x b": "each is worth more beside the other",
    }


def test_a_loss_is_told_as_one() -> None:
    found = found_in(simulated(np.random.default_rng(2), {"a": -0.03, "a x b": -0.03}))
    words = {each.name: each.in_words for each in found.effects}
    assert words["a"].startswith("less with it")
    assert words["a x b"] == "each is worth less beside the other"


def test_few_effects_of_nothing_are_found() -> None:
    """Of 100 designs without any effect at most 11 say something: 5 % and three standard errors of it."""
    said = 0
    for seed in range(100):
        found = found_in(simulated(np.random.default_rng([3, seed]), {}, seeds=5))
        said += any(each.in_words != "nothing found" for each in found.effects)
    assert said <= 11


def test_an_interval_covers_what_was_planted() -> None:
    """Of 100 designs at least 88 hold it: 95 % less three standard errors."""
    held = 0
    for seed in range(100):
        found = found_in(simulated(np.random.default_rng([4, seed]), {"a x b": 0.01}, seeds=5))
        low, high = found.effects[2].effect.interval(0.95)
        held += low <= 0.01 <= high
    assert held >= 88


def test_aliases_are_told_with_the_effect() -> None:
    records = [record(arm, seed, "one", dict.fromkeys(DAYS, 0.01)) for arm in LEVELS for seed in range(2)]
    found = find_effects(records, LEVELS, ALIASES, HORIZON)
    assert isinstance(found, FactorialFindings)
    assert [(each.name, each.aliases) for each in found.effects] == [(own[0], tuple(own[1:])) for own in ALIASES]


def test_a_seed_that_lacks_a_run_is_left_out_and_looked_at_with_zero_skill() -> None:
    records = simulated(np.random.default_rng(5), {"a": 0.03})
    lost = [r for r in records if not (r.arm == "11" and r.seed == 0)]
    found = found_in(lost)
    assert found.num_missing == 1
    assert found.effects[0].effect.num_seeds == 5
    assert found.effects[0].in_words == "needed by this tuning"


def test_what_missing_trials_could_undo_is_undecided() -> None:
    """The same with skill so high that a missing run of seed 0, at zero, takes the effect away."""
    rng, records = np.random.default_rng(6), []
    for each in simulated(rng, {"a": 0.03}):
        skill = {day: value[1] + 2 for day, value in each.curve[-1]["daily_rank_ic"].items()}
        records.append(record(str(each.arm), int(each.seed or 0), "one", skill))
    found = found_in([r for r in records if not (r.arm == "11" and r.seed == 0)])
    assert found.effects[0].in_words.startswith("undecided")


def test_too_little_in_common_is_said() -> None:
    records = [r for r in simulated(np.random.default_rng(7), {}) if r.arm != "11"]
    assert find_effects(records, FULL, [["a"]], HORIZON) == (
        "common to the 4 runs are 0 whole seeds and 0 days; 2 of each are needed"
    )


@pytest.mark.parametrize("seeds", [2, 4])
def test_few_seeds_get_no_word(seeds: int) -> None:
    found = found_in(simulated(np.random.default_rng(8), {"a": 0.03}, seeds))
    assert {each.in_words for each in found.effects} == {"fewer than 5 seeds"}
