"""Metrics of daily cross-sections: scipy is the truth, and what is undefined is NaN, never a number."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from model.metrics import (
    FINAL_METRICS,
    METRICS,
    DailyMetric,
    coverage,
    hit_rate,
    ic,
    information_ratio,
    neutral_rank_ic,
    prediction_spread,
    rank_ic,
    ranks,
    tail_weights,
    top_minus_bottom,
)

D, N, K, MIN_STOCKS = 5, 12, 2, 4
TRUTH: dict[DailyMetric, Callable[..., object]] = {rank_ic: stats.spearmanr, ic: stats.pearsonr}

each_metric = pytest.mark.parametrize("metric", list(TRUTH), ids=lambda metric: metric.__name__)
ALL_METRICS = METRICS | FINAL_METRICS
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


# --- the other metrics


@pytest.mark.parametrize("name", ALL_METRICS)
def test_masks_and_small_days_are_honoured_by_every_metric(name: str) -> None:
    score, label, mask = _days()
    mask[1, MIN_STOCKS - 1 :] = False
    mask[2] = False
    given = ALL_METRICS[name](score, label, mask, MIN_STOCKS)
    assert given.shape == (D, K)
    assert np.isnan(given[1:3]).all()
    assert np.isfinite(given[3:]).all()
    hidden = np.where(mask, score, 1e6), np.where(mask, label, -1e6)
    np.testing.assert_array_equal(ALL_METRICS[name](*hidden, mask, MIN_STOCKS), given)


def test_top_minus_bottom_is_the_mean_of_fifths() -> None:
    rng = np.random.default_rng(0)
    score, label = rng.permutation(20.0 + np.arange(20)), rng.normal(size=20)
    order = np.argsort(score)
    expected = label[order[-4:]].mean() - label[order[:4]].mean()
    given = top_minus_bottom(score[None, :, None], label[None, :, None], np.ones((1, 20, 1), bool), 4)
    np.testing.assert_allclose(given[0, 0], expected)


def test_equal_scores_at_an_edge_share_the_places_that_are_left() -> None:
    top, bottom = tail_weights(np.array([0.0, 0, 0, 1, 2, 2, 3, 3, 3, 3]), share=0.2)
    np.testing.assert_allclose(top, [0, 0, 0, 0, 0, 0, 0.25, 0.25, 0.25, 0.25])
    np.testing.assert_allclose(bottom, [1 / 3, 1 / 3, 1 / 3, 0, 0, 0, 0, 0, 0, 0])


@given(hnp.arrays(np.float64, st.integers(2, 40), elements=few_values))
@examples
def test_tails_weigh_one_each_whatever_is_tied(score: np.ndarray) -> None:
    for weight in tail_weights(score):
        assert weight.sum() == pytest.approx(1.0)
        assert (weight >= 0).all()


def test_hit_rate_is_one_for_the_same_order_half_for_noise_and_zero_for_the_opposite() -> None:
    label = np.random.default_rng(0).normal(size=(200, 30, 1))
    noise, mask = np.random.default_rng(1).normal(size=label.shape), np.ones(label.shape, bool)
    assert (hit_rate(label, label, mask, 4) == 1).all()
    assert (hit_rate(-label, label, mask, 4) == 0).all()
    assert hit_rate(noise, label, mask, 4).mean() == pytest.approx(0.5, abs=0.02)


def test_prediction_spread_is_the_deviation_over_stocks_and_zero_where_they_are_alike() -> None:
    score, label, mask = _days()
    score[0] = 3.0
    mask[:] = True
    given = prediction_spread(score, label, mask, MIN_STOCKS)
    np.testing.assert_allclose(given[1:], score[1:].std(axis=1))
    assert (given[0] == 0).all()


def test_neutral_rank_ic_is_the_correlation_of_residuals_of_statsmodels() -> None:
    rng = np.random.default_rng(3)
    stocks = 60
    sector, beta = rng.integers(1, 5, size=(1, stocks)), rng.normal(1, 0.3, size=(1, stocks))
    label = rng.normal(size=(1, stocks, 1)) + 2 * beta[..., None] + sector[..., None]
    score = 0.5 * label + rng.normal(size=label.shape)
    given = neutral_rank_ic(score, label, np.ones(label.shape, bool), 4, sector, beta)
    design = np.column_stack([*(sector[0] == code for code in range(1, 5)), beta[0]]).astype(float)
    rest = [sm.OLS(each[0, :, 0], design).fit().resid for each in (score, label)]
    np.testing.assert_allclose(given[0, 0], stats.spearmanr(*rest)[0])


def test_skill_that_is_only_sector_and_beta_is_none_when_neutral() -> None:
    rng = np.random.default_rng(4)
    sector, beta = rng.integers(1, 4, size=(50, 80)), rng.normal(1, 0.3, size=(50, 80))
    common = sector + 3 * beta
    label = (common + 0.5 * rng.normal(size=common.shape))[..., None]
    mask = np.ones(label.shape, bool)
    raw = rank_ic(common[..., None] + 0.1 * rng.normal(size=label.shape), label, mask, 4)
    neutral = neutral_rank_ic(common[..., None] + 0.1 * rng.normal(size=label.shape), label, mask, 4, sector, beta)
    assert raw.mean() > 0.8
    assert abs(neutral.mean()) < 0.15


def test_a_stock_without_a_beta_does_not_count() -> None:
    rng = np.random.default_rng(5)
    sector, beta = np.ones((1, 30), int), rng.normal(size=(1, 30))
    score, label = rng.normal(size=(1, 30, 1)), rng.normal(size=(1, 30, 1))
    mask = np.ones(label.shape, bool)
    beta[0, :10] = np.nan
    given = neutral_rank_ic(score, label, mask, 4, sector, beta)
    np.testing.assert_allclose(
        given, neutral_rank_ic(score[:, 10:], label[:, 10:], mask[:, 10:], 4, sector[:, 10:], beta[:, 10:])
    )


def test_the_information_ratio_is_mean_over_deviation_of_the_days_that_have_one() -> None:
    daily = np.array([0.1, np.nan, 0.3, 0.2])
    assert information_ratio(daily) == pytest.approx(0.2 / np.std([0.1, 0.3, 0.2], ddof=1))
    for undefined in ([0.1], [np.nan, np.nan], [0.1, 0.1]):
        assert np.isnan(information_ratio(np.array(undefined)))


def test_coverage_of_the_true_quantiles_is_their_level() -> None:
    target = np.random.default_rng(6).normal(size=(200, 50, 1))
    levels = np.array([0.1, 0.5, 0.9])
    level = np.broadcast_to(stats.norm.ppf(levels), (*target.shape, 3))
    mask = np.ones(target.shape, bool)
    mask[:50] = False
    np.testing.assert_allclose(coverage(level, target, mask)[0], levels, atol=0.01)
    mask[:] = False
    assert np.isnan(coverage(level, target, mask)).all()
