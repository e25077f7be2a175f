"""Metrics of daily cross-sections: scipy is the truth, and what is undefined is NaN, never a number."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from model.metrics import METRICS, DailyMetric, ic, rank_ic, ranks

D, N, K, MIN_STOCKS = 5, 12, 2, 4
TRUTH: dict[DailyMetric, Callable[..., object]] = {rank_ic: stats.spearmanr, ic: stats.pearsonr}

each_metric = pytest.mark.parametrize("metric", list(METRICS.values()), ids=list(METRICS))
examples = settings(deadline=None, derandomize=True, max_examples=150)
few_values = st.integers(-3, 3).map(float)  # so that ties and constant days are common
any_float = st.floats(-1e6, 1e6, allow_nan=False)
constants = st.floats(-1e3, 1e3, allow_nan=False)


def _days(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = rng.normal(size=(D, N, K))
    return 0.3 * label + rng.normal(size=(D, N, K)), label, rng.random((D, N, K)) < 0.8


def _by_scipy(metric: DailyMetric, score: np.ndarray, label: np.ndarray, mask: np.ndarray) -> np.ndarray:
    out = np.full((score.shape[0], score.shape[2]), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for day, k in np.ndindex(*out.shape):
            usable = mask[day, :, k]
            if usable.sum() >= MIN_STOCKS:
                pair = score[day, usable, k].astype(np.float64), label[day, usable, k].astype(np.float64)
                out[day, k] = TRUTH[metric](*pair)[0]
    return out


@given(hnp.arrays(np.float64, st.integers(1, 40), elements=few_values | any_float))
@examples
def test_ranks_are_those_of_scipy_with_ties_averaged(values: np.ndarray) -> None:
    np.testing.assert_array_equal(ranks(values), stats.rankdata(values))


@each_metric
def test_a_metric_is_the_correlation_of_scipy_on_each_day(metric: DailyMetric) -> None:
    score, label, mask = _days()
    np.testing.assert_allclose(metric(score, label, mask, MIN_STOCKS), _by_scipy(metric, score, label, mask))


@each_metric
@given(data=st.data())
@examples
def test_a_metric_agrees_with_scipy_on_ties_and_constant_days(metric: DailyMetric, data: st.DataObject) -> None:
    shape = (2, data.draw(st.integers(1, 9)), 2)
    score, label = (data.draw(hnp.arrays(np.float32, shape, elements=few_values)) for _ in range(2))
    mask = data.draw(hnp.arrays(np.bool_, shape))
    given_days = metric(score, label, mask, MIN_STOCKS)
    np.testing.assert_allclose(given_days, _by_scipy(metric, score, label, mask), atol=1e-12)


@each_metric
def test_too_few_stocks_are_nan_and_just_enough_are_not(metric: DailyMetric) -> None:
    score, label, mask = _days()
    mask[:] = True
    mask[0, MIN_STOCKS - 1 :] = False
    mask[1, MIN_STOCKS:] = False
    given_days = metric(score, label, mask, MIN_STOCKS)
    assert np.isnan(given_days[0]).all()
    assert np.isfinite(given_days[1:]).all()


@each_metric
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(value=constants, num_stocks=st.integers(MIN_STOCKS, 60))
@examples
def test_constant_scores_are_nan_whatever_the_constant(
    metric: DailyMetric, dtype: type, value: float, num_stocks: int
) -> None:
    label = np.random.default_rng(0).normal(size=(1, num_stocks, 1))
    score = np.full(label.shape, value, dtype)
    assert np.isnan(metric(score, label, np.ones(label.shape, bool), MIN_STOCKS)).all()


@each_metric
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(value=constants, num_stocks=st.integers(MIN_STOCKS, 60))
@examples
def test_constant_labels_are_nan_whatever_the_constant(
    metric: DailyMetric, dtype: type, value: float, num_stocks: int
) -> None:
    score = np.random.default_rng(0).normal(size=(1, num_stocks, 1))
    label = np.full(score.shape, value, dtype)
    assert np.isnan(metric(score, label, np.ones(score.shape, bool), MIN_STOCKS)).all()


@each_metric
@pytest.mark.parametrize("num_broken", [1, 3, N])
def test_a_score_that_is_nan_makes_its_day_nan(metric: DailyMetric, num_broken: int) -> None:
    score, label, mask = _days()
    mask[:] = True
    score[2, :num_broken, 1] = np.nan
    broken = np.isnan(metric(score, label, mask, MIN_STOCKS))
    assert broken[2, 1]
    assert broken.sum() == 1


@each_metric
def test_what_is_masked_does_not_count(metric: DailyMetric) -> None:
    score, label, mask = _days()
    garbage = np.where(mask, label, np.nan)
    np.testing.assert_array_equal(
        metric(score, label, mask, MIN_STOCKS), metric(np.where(mask, score, 9e9), garbage, mask, MIN_STOCKS)
    )


@each_metric
def test_a_day_is_judged_without_the_other_days(metric: DailyMetric) -> None:
    score, label, mask = _days()
    drifted = score + 100 * np.arange(D)[:, None, None]
    whole = metric(drifted, label, mask, MIN_STOCKS)
    alone = [metric(score[[d]], label[[d]], mask[[d]], MIN_STOCKS)[0] for d in range(D)]
    np.testing.assert_allclose(whole, alone, atol=1e-9)


@each_metric
def test_agreement_is_plus_one_and_opposition_minus_one(metric: DailyMetric) -> None:
    _, label, mask = _days()
    np.testing.assert_allclose(metric(2 * label + 1, label, mask, MIN_STOCKS), 1)
    np.testing.assert_allclose(metric(-label, label, mask, MIN_STOCKS), -1)


def test_the_rank_ic_reads_the_order_of_scores_alone() -> None:
    score, label, mask = _days()
    given_days = rank_ic(score, label, mask, MIN_STOCKS)
    np.testing.assert_array_equal(given_days, rank_ic(np.exp(3 * score), label, mask, MIN_STOCKS))
    assert not np.allclose(ic(score, label, mask, MIN_STOCKS), ic(np.exp(3 * score), label, mask, MIN_STOCKS))
