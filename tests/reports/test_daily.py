"""Pairs of daily skill: identical days, whole seeds, and zero skill for what is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.daily import daily_pairs, daily_skill, primary_horizon
from storage.record import TrialRecord

HORIZONS = [1, 5]


def record(arm: str, seed: int, fold: str, skill: dict[str, float | None] | None) -> TrialRecord:
    """COMPLETE with that skill at 5 days (and another at 1), or FAIL."""
    attributes = {"arm": arm, "seed": seed, "fold": fold, "config": {"data": {"horizons": HORIZONS}}}
    if skill is None:
        return TrialRecord(0, "FAIL", None, {}, attributes, ())
    last = {"daily_rank_ic": {day: [9.0, value] for day, value in skill.items()}}
    return TrialRecord(0, "COMPLETE", 0.1, {}, attributes, ({"daily_rank_ic": {}}, last))


def study(**missing: tuple[str, int, str]) -> list[TrialRecord]:
    """Two seeds and folds; the arm is .1 better in the first fold and .2 worse in the second."""
    records = []
    for seed in (0, 1):
        for fold, days, gain in (("one", ("d1", "d2"), 0.1), ("two", ("d3", "d4"), -0.2)):
            for arm in ("reference", "no_gat"):
                own = gain if arm == "no_gat" else 0.0
                skill = dict.fromkeys(days, seed + own)
                records.append(record(arm, seed, fold, None if (arm, seed, fold) in missing.values() else skill))
    return records


def test_each_seed_is_a_row_over_the_days_of_all_folds() -> None:
    found = daily_pairs(study(), "reference", 5)["no_gat"]
    assert found.days == ("d1", "d2", "d3", "d4")
    np.testing.assert_allclose(found.d_ST, [[0.1, 0.1, -0.2, -0.2]] * 2)
    np.testing.assert_allclose(found.filled_ST, found.d_ST)
    assert found.num_missing == 0


@pytest.mark.parametrize(("arm", "filled"), [("no_gat", -1.0), ("reference", [1.1, 1.1, 0.8, 0.8])])
def test_a_side_that_is_missing_has_zero_skill_and_its_seed_is_no_pair(arm: str, filled: object) -> None:
    found = daily_pairs(study(one=(arm, 1, "two")), "reference", 5)["no_gat"]
    np.testing.assert_allclose(found.d_ST, [[0.1, 0.1, -0.2, -0.2]])
    np.testing.assert_allclose(found.filled_ST[1], np.broadcast_to(filled, 4))
    assert found.num_missing == 1


def test_days_that_one_of_them_could_not_score_are_left_out() -> None:
    records = study()
    records[1] = record("no_gat", 0, "one", {"d1": None, "d2": 0.1})
    found = daily_pairs(records, "reference", 5)["no_gat"]
    assert found.days == ("d2", "d3", "d4")
    assert np.isfinite(found.d_ST).all()


def test_an_arm_without_a_whole_seed_is_left_out() -> None:
    records = study(one=("no_gat", 0, "one"), two=("no_gat", 1, "one"))
    assert daily_pairs(records, "reference", 5) == {}
    assert daily_pairs(records, "reference", 20) == {}


def test_only_the_last_epoch_of_a_complete_trial_counts() -> None:
    assert daily_skill(record("a", 0, "f", {"d1": 0.3}), 5) == {"d1": 0.3}
    assert daily_skill(record("a", 0, "f", {"d1": 0.3}), 1) == {"d1": 9.0}
    assert daily_skill(record("a", 0, "f", None), 5) == {}


@pytest.mark.parametrize(("horizons", "expected"), [([1, 5, 10, 20], 5), ([1, 20], 20), ([3, 10], 3), ([1], 1)])
def test_the_primary_horizon_is_five_days_or_the_nearest(horizons: list[int], expected: int) -> None:
    assert primary_horizon(horizons) == expected


def test_a_day_that_a_network_could_not_rank_has_zero_skill_in_the_second_look() -> None:
    records = study()
    records[1] = record("no_gat", 0, "one", {"d1": None, "d2": 0.1})
    found = daily_pairs(records, "reference", 5)["no_gat"]
    assert found.num_undefined == 1
    np.testing.assert_allclose(found.filled_ST[0], [0.0, 0.1, -0.2, -0.2])
    np.testing.assert_allclose(found.filled_ST[1], [0.1, 0.1, -0.2, -0.2])


@pytest.mark.parametrize("state", ["RUNNING", "WAITING"])
def test_a_seed_of_which_a_trial_may_still_come_is_not_missing(state: str) -> None:
    records = study()
    place = next(n for n, r in enumerate(records) if (r.arm, r.seed, r.fold) == ("no_gat", 1, "two"))
    records[place] = replace(records[place], state=state)
    found = daily_pairs(records, "reference", 5)["no_gat"]
    assert len(found.d_ST) == len(found.filled_ST) == 1
    assert found.num_missing == 0


def test_a_seed_with_a_failed_trial_is_missing_though_another_of_it_may_come() -> None:
    records = study(one=("no_gat", 1, "one"))
    kept = [r for r in records if (r.arm, r.seed, r.fold) != ("no_gat", 1, "two")]
    assert daily_pairs(kept, "reference", 5)["no_gat"].num_missing == 1


def test_a_complete_trial_whose_curve_is_not_stored_yet_has_no_skill() -> None:
    assert daily_skill(replace(record("a", 0, "f", {"d1": 0.3}), curve=()), 5) == {}
