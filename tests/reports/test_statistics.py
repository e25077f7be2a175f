"""Paired differences and their intervals, against numbers worked out by hand and by scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.storages import RDBStorage
from scipy import stats

from reports.statistics import MIN_PAIRS, ArmDifference, paired_differences, summarise
from storage.record import TrialRecord, read_records
from storage.study import StudyStore


def record(arm: str, seed: int, value: float | None, state: str = "COMPLETE") -> TrialRecord:
    return TrialRecord(0, state, value, {}, {"arm": arm, "seed": seed, "fold": "confirm-1"}, ())


def by_arm(records: list[TrialRecord]) -> dict[str, ArmDifference]:
    return {d.arm: d for d in summarise(paired_differences(records, "reference"))}


def test_differences_pair_by_seed_and_fold(storage: RDBStorage, confirm: StudyStore) -> None:
    records = read_records(storage, confirm.name)
    found = by_arm(records)
    assert found["no_gat"].mean == pytest.approx(-0.0105)
    assert (found["no_gat"].num_pairs, found["no_gat"].num_missing) == (4, 0)
    assert found["no_fan"].mean == pytest.approx(0.002)
    assert (found["no_fan"].num_pairs, found["no_fan"].num_missing) == (3, 1)


def test_a_failed_side_is_missing_never_a_number() -> None:
    records = [record("reference", 0, 0.5), record("a", 0, 0.4, state="PRUNED"), record("a", 1, 0.1)]
    found = by_arm(records)["a"]
    assert (found.num_pairs, found.num_missing) == (0, 2)
    assert math.isnan(found.mean)
    assert not found.excludes_zero


@given(st.lists(st.integers(-1000, 1000).map(lambda n: n / 1000), min_size=MIN_PAIRS, max_size=8, unique=True))
def test_one_arms_interval_is_the_t_interval(values: list[float]) -> None:
    records = [record("reference", s, 0.0) for s in range(len(values))]
    found = by_arm(records + [record("a", s, v) for s, v in enumerate(values)])["a"]
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)


def test_intervals_widen_with_the_number_of_arms() -> None:
    base = [record("reference", s, 0.0) for s in range(4)]
    arm = [record("a", s, v) for s, v in enumerate((0.1, 0.2, 0.3, 0.4))]
    others = [record(name, s, 0.1 * s) for name in "bcd" for s in range(4)]
    alone, among = by_arm(base + arm)["a"], by_arm(base + arm + others)["a"]
    assert among.high - among.low > alone.high - alone.low


def test_few_pairs_have_no_interval_and_exclude_nothing() -> None:
    few = MIN_PAIRS - 1
    base = [record("reference", s, 0.0) for s in range(few)]
    found = by_arm(base + [record("a", s, 0.1 + 1e-6 * s) for s in range(few)])["a"]
    assert found.mean == pytest.approx(0.1, abs=1e-5)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert not found.excludes_zero
