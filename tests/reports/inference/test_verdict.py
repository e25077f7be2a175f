"""The word of an arm: it needs Holm's test and the simultaneous interval, and what is missing may take it back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from reports.inference.effect import Effect, effect
from reports.inference.verdict import ALPHA, Word, benjamini_hochberg, holm, verdicts
from tests.reports.inference.series import paired


def of(mean: float, error: float, degrees: float = 20.0) -> Effect:
    return Effect(mean, error**2, 0.0, degrees, 5, 250)


@pytest.mark.parametrize(
    ("mean", "error", "word"),
    [
        (0.05, 0.005, Word.HELPS),
        (-0.05, 0.005, Word.HURTS),
        (0.001, 0.001, Word.NO_DIFFERENCE),
        (0.001, 0.02, Word.UNDECIDED),
        (0.002, 0.00001, Word.HELPS),  # small, but told apart: that it is small stands beside it
    ],
)
def test_the_words(mean: float, error: float, word: Word) -> None:
    assert verdicts({"arm": of(mean, error)})["arm"].word is word


def test_intervals_are_simultaneous_and_hold_what_they_say() -> None:
    effects = {f"arm{k}": of(0.01 * k, 0.01) for k in range(4)}
    found = verdicts(effects)
    reach = stats.t.ppf(1 - ALPHA / 4 / 2, 20.0) * 0.01
    for arm, verdict in found.items():
        assert (verdict.low, verdict.high) == pytest.approx((effects[arm].mean - reach, effects[arm].mean + reach))


def test_a_word_needs_holm_and_the_interval() -> None:
    """Holm alone would tell the second of two apart at .05; its simultaneous interval holds zero."""
    second = float(stats.t.ppf(1 - 0.04 / 2, 20.0)) * 0.01
    found = verdicts({"first": of(0.2, 0.01), "second": of(second, 0.01)})
    assert found["first"].word is Word.HELPS
    assert found["second"].adjusted_p <= ALPHA
    assert found["second"].low < 0
    assert found["second"].word is Word.UNDECIDED


def test_missing_pairs_that_change_the_word_leave_it_undecided() -> None:
    completed = {"a": of(0.05, 0.005), "b": of(0.05, 0.005)}
    filled = {"a": of(0.01, 0.02), "b": of(0.04, 0.005)}
    found = verdicts(completed, filled)
    assert found["a"].word is Word.UNDECIDED
    assert found["a"].why == "with zero skill for what is missing: undecided"
    assert found["b"].word is Word.HELPS


@settings(max_examples=20)  # statsmodels collects the process's garbage at every call
@given(st.lists(st.floats(0, 1), max_size=12))
@example([0.01, 0.04, 0.03, 0.005])
@example([0.02, 0.02, 1.0, 0.0])
def test_adjusted_chances_are_those_of_statsmodels(p: list[float]) -> None:
    for own, method in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        assert own(p) == pytest.approx(multipletests(p, method=method)[1].tolist() if p else [])


def test_of_null_families_hardly_any_gets_a_word() -> None:
    rng, draws, false = np.random.default_rng(8), 150, 0
    for _ in range(draws):
        found = verdicts({str(arm): effect(paired(rng, 5, 250, 5), 5) for arm in range(4)})
        false += any(verdict.word in (Word.HELPS, Word.HURTS) for verdict in found.values())
    assert stats.binomtest(false, draws).proportion_ci(0.99).low <= 0.05
