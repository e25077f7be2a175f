"""Features: never from the future, free of the price level, and equal to what their names say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from data.features import FEATURES, compute_features
from data.panel import PRICES, Panel
from tests.data.helpers import properties

NAMES = list(FEATURES)
SCALED_STOCK = 5


def features_of(panel: Panel) -> np.ndarray:
    """[D, N, F] of a panel."""
    out = np.empty((*panel.observed.shape, len(NAMES)), np.float32)
    compute_features(panel, out)
    return out


@pytest.fixture(scope="session")
def features(market: Panel) -> np.ndarray:
    """[D, N, F] of the small market."""
    return features_of(market)


def with_scaled_stock(panel: Panel, price: float, volume: float) -> Panel:
    """The panel with one stock's prices and volumes multiplied through all of history."""
    factor = dict.fromkeys(PRICES, price) | {"volume": volume}
    prices = {name: values.copy() for name, values in panel.prices.items()}
    for name, values in prices.items():
        values[:, SCALED_STOCK] *= factor[name]
    return replace(panel, prices=prices)


@pytest.fixture(scope="session")
def after_dividends(market: Panel) -> np.ndarray:
    """[D, N, F] when the prices of one stock are on another level, as back-adjusted ones are."""
    return features_of(with_scaled_stock(market, price=0.73, volume=1.0))


@pytest.fixture(scope="session")
def after_split(market: Panel) -> np.ndarray:
    """[D, N, F] when one stock was split 1:4 after the panel's end: prices and volumes are adjusted."""
    return features_of(with_scaled_stock(market, price=0.25, volume=4.0))


# --- all features


@pytest.mark.parametrize("name", NAMES)
def test_every_feature_is_known_for_most_of_the_last_day(market: Panel, features: np.ndarray, name: str) -> None:
    column = features[-1, market.observed[-1], NAMES.index(name)]
    assert np.isfinite(column).mean() > 0.8
    assert np.unique(column[np.isfinite(column)]).size > 1


def test_no_feature_is_infinite_and_none_is_known_without_a_close(market: Panel, features: np.ndarray) -> None:
    assert not np.isinf(features).any()
    assert np.isnan(features[~market.observed]).all()


@properties(25)
@given(last=st.integers(0, 258))
def test_no_feature_at_or_before_a_day_reads_a_later_one(market: Panel, features: np.ndarray, last: int) -> None:
    cut = features_of(market.until(last + 1))
    np.testing.assert_allclose(cut, features[: last + 1], rtol=1e-5, atol=1e-6)


@properties(10)
@given(last=st.integers(60, 257), seed=st.integers(0, 99))
def test_no_feature_at_or_before_a_day_feels_other_prices_after_it(
    market: Panel, features: np.ndarray, last: int, seed: int
) -> None:
    noise = np.exp(np.random.default_rng(seed).normal(0, 0.2, market.observed.shape))
    noise[: last + 1] = 1.0
    changed = features_of(replace(market, prices={name: v * noise for name, v in market.prices.items()}))
    np.testing.assert_allclose(changed[: last + 1], features[: last + 1], rtol=1e-5, atol=1e-6)
    assert not np.allclose(changed[last + 1 :], features[last + 1 :], rtol=1e-5, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_stocks_price_level_changes_no_feature(features: np.ndarray, after_dividends: np.ndarray, name: str) -> None:
    column = NAMES.index(name)
    np.testing.assert_allclose(after_dividends[..., column], features[..., column], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_later_split_changes_no_feature(features: np.ndarray, after_split: np.ndarray, name: str) -> None:
    column = NAMES.index(name)
    np.testing.assert_allclose(after_split[..., column], features[..., column], rtol=1e-4, atol=1e-4)


def test_the_order_of_stocks_permutes_the_features_and_nothing_else(market: Panel, features: np.ndarray) -> None:
    order = np.random.default_rng(0).permutation(len(market.codes))
    shuffled = Panel(
        market.dates,
        market.codes[order],
        {name: values[:, order] for name, values in market.prices.items()},
        market.sector[order],
        market.industry[order],
    )
    np.testing.assert_allclose(features_of(shuffled), features[:, order], rtol=1e-4, atol=1e-5)


# --- a few features against the naive computation, on the days and stocks without a gap


Naive = Callable[[np.ndarray, np.ndarray, int, int], float]


def naive_return_5(log_close: np.ndarray, returns: np.ndarray, t: int, n: int) -> float:
    return log_close[t, n] - log_close[t - 5, n]


def naive_volatility_20(log_close: np.ndarray, returns: np.ndarray, t: int, n: int) -> float:
    return float(np.log(np.std(returns[t - 19 : t + 1, n], ddof=1) + 1e-6))


def naive_beta_60(log_close: np.ndarray, returns: np.ndarray, t: int, n: int) -> float:
    window = slice(t - 59, t + 1)
    return float(np.polyfit(np.nanmean(returns[window], axis=1), returns[window, n], 1)[0])


def naive_rank_return_5(log_close: np.ndarray, returns: np.ndarray, t: int, n: int) -> float:
    moves = log_close[t] - log_close[t - 5]
    known = np.flatnonzero(np.isfinite(moves))
    return float(rankdata(moves[known])[known.tolist().index(n)] / len(known) - 0.5)


def naive_relative_strength_14(log_close: np.ndarray, returns: np.ndarray, t: int, n: int) -> float:
    window = returns[t - 13 : t + 1, n]
    return float(window[window > 0].sum() / np.abs(window).sum() - 0.5)


NAIVE: dict[str, Naive] = {
    "return_5": naive_return_5,
    "volatility_20": naive_volatility_20,
    "beta_60": naive_beta_60,
    "rank_return_5": naive_rank_return_5,
    "relative_strength_14": naive_relative_strength_14,
}


@pytest.mark.parametrize("name", NAIVE)
def test_a_feature_equals_its_naive_computation(
    market: Panel, features: np.ndarray, log_returns: np.ndarray, name: str
) -> None:
    log_close = np.log(market.prices["close"])
    gapless = [(t, n) for t in range(70, 260, 7) for n in range(24) if market.observed[t - 61 : t + 1, n].all()]
    assert len(gapless) > 300
    expected = [NAIVE[name](log_close, log_returns, t, n) for t, n in gapless]
    actual = [features[t, n, NAMES.index(name)] for t, n in gapless]
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_sector_relative_returns_average_to_zero_within_each_sector(market: Panel, features: np.ndarray) -> None:
    column = features[-1, :, NAMES.index("sector_relative_5")]
    for sector in np.unique(market.sector):
        assert abs(np.nanmean(column[market.sector == sector])) < 1e-6


def test_the_order_of_features_is_the_stores(small_panel: Path, market: Panel, features: np.ndarray) -> None:
    one_day = np.log(market.prices["close"][100] / market.prices["close"][99])
    np.testing.assert_allclose(features[100, :, 0], one_day, rtol=1e-4, atol=1e-6)
    assert NAMES[0] == "return_1"
