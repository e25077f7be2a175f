"""Pairs of confirm trials: same seed, same fold; a side that failed is missing."""

from __future__ import annotations

import math

import pytest
from optuna.storages import RDBStorage

from reports.sections.confirm import paired_differences
from storage.record import TrialRecord, read_records
from storage.study import StudyStore


def record(arm: str, seed: int, value: float | None, state: str = "COMPLETE") -> TrialRecord:
    return TrialRecord(0, state, value, {}, {"arm": arm, "seed": seed, "fold": "confirm-1"}, ())


def test_differences_pair_by_seed_and_fold(storage: RDBStorage, confirm: StudyStore) -> None:
    found = paired_differences(read_records(storage, confirm.name), "reference").groupby("arm")["difference"]
    assert found.mean().to_dict() == pytest.approx({"no_gat": -0.0105, "no_fan": 0.002, "shuffled": -0.005})
    assert found.count().to_dict() == {"no_gat": 4, "no_fan": 3, "shuffled": 4}
    assert found.size().to_dict() == {"no_gat": 4, "no_fan": 4, "shuffled": 4}


def test_a_failed_side_is_missing_never_a_number() -> None:
    records = [record("reference", 0, 0.5), record("a", 0, 0.4, state="PRUNED"), record("a", 1, 0.1)]
    found = paired_differences(records, "reference")
    assert len(found) == 2
    assert all(math.isnan(difference) for difference in found["difference"])
