"""The long-run variance: pinned to its definition, to statsmodels, and to what a simulation says that it estimates."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from reports.inference.long_run import ewc_variance, newey_west_variance, num_cosines, overlap_seen
from tests.reports.inference.series import overlapping


@pytest.mark.parametrize(
    ("days", "horizon", "expected"),
    [(250, 1, 15), (250, 5, 15), (250, 20, 6), (40, 20, 1), (10, 20, 1), (1000, 20, 25), (1000, 1, 40)],
)
def test_the_number_of_cosines(days: int, horizon: int, expected: int) -> None:
    assert num_cosines(days, horizon) == expected


def test_it_is_the_mean_of_squared_cosine_weights() -> None:
    y_T, days, nu = np.random.default_rng(0).normal(size=30), 30, 4
    weights = [
        np.sqrt(2 / days) * sum(y_T[t - 1] * np.cos(np.pi * j * (t - 0.5) / days) for t in range(1, days + 1))
        for j in range(1, nu + 1)
    ]
    assert ewc_variance(y_T, nu) == pytest.approx(np.mean(np.square(weights)))


def test_a_constant_changes_nothing_and_series_are_taken_one_by_one() -> None:
    y_ST = np.random.default_rng(1).normal(size=(3, 100))
    np.testing.assert_allclose(ewc_variance(y_ST + 5, 7), ewc_variance(y_ST, 7))
    np.testing.assert_allclose(ewc_variance(y_ST, 7), [ewc_variance(y_T, 7) for y_T in y_ST])


@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_it_estimates_the_variance_of_the_mean_of_overlapping_labels(horizon: int) -> None:
    days = 750
    y_RT = overlapping(np.random.default_rng(2), (4000, days), horizon)
    true = float(y_RT.mean(axis=1).var()) * days
    assert ewc_variance(y_RT, num_cosines(days, horizon)).mean() == pytest.approx(true, rel=0.12)


@pytest.mark.parametrize(("days", "horizon"), [(250, 1), (250, 20), (500, 5), (1000, 20)])
def test_what_the_cosines_miss_of_an_overlap_is_known(days: int, horizon: int) -> None:
    y_RT = overlapping(np.random.default_rng(4), (20_000, days), horizon)
    nu = num_cosines(days, horizon)
    true = days * y_RT.mean(axis=1).var()
    assert ewc_variance(y_RT, nu).mean() / true == pytest.approx(overlap_seen(nu, days, horizon), rel=0.04)


def test_nothing_is_missed_of_days_that_do_not_overlap() -> None:
    assert overlap_seen(15, 250, 1) == pytest.approx(1)
    assert 0 < overlap_seen(1, 10, 20) < 1


@pytest.mark.parametrize("horizon", [1, 20])
def test_newey_west_is_that_of_a_regression_on_a_constant(horizon: int) -> None:
    y_T = overlapping(np.random.default_rng(3), (300,), horizon)
    lags = max(horizon - 1, int(4 * 3 ** (2 / 9)))
    fitted = sm.OLS(y_T, np.ones(300)).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
    assert newey_west_variance(y_T, horizon) / 300 == pytest.approx(fitted.bse[0] ** 2)
