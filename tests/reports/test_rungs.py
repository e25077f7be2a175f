"""Rung trust: the rank correlation it says, from the trials that came to their end, or that it is not known."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from reports.rungs import MIN_TRIALS, rung_trust
from storage.record import TrialRecord


def record(number: int, curve: list[float], state: str = "COMPLETE") -> TrialRecord:
    results = tuple({"epoch": k + 1, "value": v, "best_so_far": max(curve[: k + 1])} for k, v in enumerate(curve))
    return TrialRecord(number, state, curve[-1] if state == "COMPLETE" else None, {}, {}, results)


CURVES = [[0.01, 0.05, 0.02], [0.03, 0.01, 0.04], [0.02, 0.02, 0.03], [0.04, 0.0, 0.01], [0.0, 0.06, 0.05]]


def test_it_ranks_by_the_best_so_far_as_asha_does() -> None:
    first, second = rung_trust([record(n, curve) for n, curve in enumerate(CURVES)], [1, 2])
    final = [curve[-1] for curve in CURVES]
    assert first.correlation == pytest.approx(stats.spearmanr([c[0] for c in CURVES], final).statistic)
    assert second.correlation == pytest.approx(stats.spearmanr([max(c[:2]) for c in CURVES], final).statistic)
    assert (first.epoch, first.num_trials) == (1, 5)
    assert first.in_words == f"epoch 1: {first.correlation:+.2f} of 5"


def test_trials_that_were_cut_do_not_count() -> None:
    complete = [record(n, curve) for n, curve in enumerate(CURVES)]
    cut = [record(9, [0.9], "PRUNED"), record(10, [0.9, 0.9], "FAIL")]
    assert rung_trust([*complete, *cut], [1]) == rung_trust(complete, [1])


@pytest.mark.parametrize("curves", [CURVES[: MIN_TRIALS - 1], [[0.01, 0.02]] * 6, []], ids=["few", "equal", "none"])
def test_what_is_not_known_is_no_number(curves: list[list[float]]) -> None:
    (rung,) = rung_trust([record(n, curve) for n, curve in enumerate(curves)], [1])
    assert math.isnan(rung.correlation)
    assert rung.in_words.startswith("epoch 1: not known from")


def test_a_rung_at_the_end_is_none() -> None:
    (rung,) = rung_trust([record(n, curve) for n, curve in enumerate(CURVES)], [3])
    assert rung.num_trials == 0
