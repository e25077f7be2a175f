"""Realised P&L of tranches against a day-by-day account; what taking h-day labels as daily returns would inflate."""

from __future__ import annotations

import numpy as np
import pytest

from model.metrics import tail_weights
from model.portfolio import sharpe_ratio, tranches


def account(
    score: np.ndarray, returns: np.ndarray, horizon: int, delay: int, cost_bps: float
) -> tuple[list[float], list[float]]:
    """One tranche per day in a list, each with its own age."""
    days, stocks = score.shape
    open_tranches: list[tuple[int, np.ndarray]] = []
    daily, traded, before = [], [], np.zeros(stocks)
    for day in range(days):
        top, bottom = tail_weights(score[day])
        open_tranches = [(age + 1, weights) for age, weights in open_tranches if age + 1 < horizon]
        open_tranches.append((0, (top - bottom) / horizon))
        held = sum((weights for _, weights in open_tranches), np.zeros(stocks))
        trade = np.abs(held - before).sum()
        before = held
        earned_on = day + delay + 1  # bought at the close of day + delay
        if len(open_tranches) == horizon and earned_on < len(returns):
            daily.append(float((held * returns[earned_on]).sum() - trade * cost_bps / 1e4))
            traded.append(float(trade))
    return daily, traded


@pytest.mark.parametrize("horizon", [1, 3, 5])
@pytest.mark.parametrize("delay", [0, 1])
def test_it_is_the_account_of_overlapping_tranches(horizon: int, delay: int) -> None:
    rng = np.random.default_rng(0)
    score, returns = rng.normal(size=(30, 20)), rng.normal(0, 0.02, size=(30 + horizon + delay, 20))
    earned = tranches(score, np.ones((30, 20), bool), returns, horizon, delay, cost_bps=10)
    daily, traded = account(score, returns, horizon, delay, 10)
    np.testing.assert_allclose(earned.daily, daily)
    assert earned.turnover == pytest.approx(np.mean(traded))
    assert earned.sharpe == pytest.approx(np.mean(daily) / np.std(daily, ddof=1) * np.sqrt(252))


def test_costs_come_off_what_is_traded() -> None:
    rng = np.random.default_rng(1)
    score, returns = rng.normal(size=(40, 20)), rng.normal(0, 0.02, size=(44, 20))
    free, dear = (tranches(score, np.ones((40, 20), bool), returns, 3, 1, cost) for cost in (0.0, 50.0))
    assert free.daily.mean() - dear.daily.mean() == pytest.approx(free.turnover * 50 / 1e4)


def test_a_stock_that_may_not_be_traded_is_not_held() -> None:
    score, returns = np.tile(np.arange(10.0), (5, 1)), np.zeros((8, 10))
    returns[:, 9] = 1.0
    tradable = np.ones((5, 10), bool)
    tradable[:, 9] = False
    assert (tranches(score, tradable, returns, 1, 1, 0.0).daily == 0).all()


def test_a_missing_return_earns_nothing() -> None:
    score, returns = np.tile(np.arange(10.0), (5, 1)), np.full((8, 10), np.nan)
    assert (tranches(score, np.ones((5, 10), bool), returns, 1, 1, 0.0).daily == 0).all()


def test_without_returns_beyond_the_scores_no_day_is_invented() -> None:
    score, returns = np.tile(np.arange(10.0), (5, 1)), np.ones((5, 10))
    assert len(tranches(score, np.ones((5, 10), bool), returns, 1, 1, 0.0).daily) == 3


def test_h_day_labels_taken_as_daily_returns_would_inflate_the_ratio() -> None:
    """By about the root of h, on prices without memory and scores that last."""
    rng, h = np.random.default_rng(2), 20
    days, stocks = 2000, 60
    skill = rng.normal(size=(1, stocks)) * np.ones((days, 1))
    returns = 0.0004 * skill + rng.normal(0, 0.02, size=(days, stocks))
    earned = tranches(skill, np.ones((days, stocks), bool), returns, h, 0, 0.0)
    top, bottom = tail_weights(skill[0])
    sums = np.lib.stride_tricks.sliding_window_view(returns, h, axis=0).sum(axis=2)
    naive = sharpe_ratio(((top - bottom) * sums).sum(axis=1))
    assert naive / earned.sharpe == pytest.approx(np.sqrt(h), rel=0.25)


def test_a_ratio_without_two_days_or_a_spread_is_not_defined() -> None:
    assert np.isnan(sharpe_ratio(np.array([0.1])))
    assert np.isnan(sharpe_ratio(np.array([0.1, 0.1])))
