"""Features: what their names say, bit-equal in chunks, free of price levels, missing where the day is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kurtosis, rankdata, skew

from data.bars import Bars
from data.features import FEATURES, REACH, compute_features

REPEATABLE = settings(max_examples=20, deadline=None, derandomize=True, database=None)
NAMES = list(FEATURES)
CALENDAR = ("weekday", "days_since_session", "month_position", "season_sine", "season_cosine")
PRICES = ("open", "high", "low", "close")
NUM_DAYS = 480
GAPLESS = [0, 4, 5]  # stocks without a missing day, one of each sector
SCALED = 3  # the stock whose prices are adjusted


def random_bars(num_days: int = NUM_DAYS, num_stocks: int = 10, seed: int = 0) -> Bars:
    """A market with two sectors, missing days, days without volume, a late listing and a changing universe."""
    rng = np.random.default_rng(seed)
    returns = rng.normal(0, 0.01, (num_days, 1)) + rng.normal(0, 0.02, (num_days, num_stocks))
    close = 50 * np.exp(np.cumsum(returns, axis=0))
    opened = close * np.exp(rng.normal(0, 0.01, close.shape))
    high = np.maximum(opened, close) * np.exp(rng.exponential(0.005, close.shape))
    low = np.minimum(opened, close) * np.exp(-rng.exponential(0.005, close.shape))
    volume = np.exp(rng.normal(13, 0.5, close.shape)).round()
    volume[rng.random(close.shape) < 0.03] = 0.0
    missing = rng.random(close.shape) < 0.02
    missing[:, GAPLESS] = False
    missing[:150, 1] = True
    for values in (opened, high, low, close, volume):
        values[missing] = np.nan
    sector = np.broadcast_to(np.arange(num_stocks) % 3, close.shape).copy()  # those of 0 are in no known sector
    eligible = ~missing & (rng.random(close.shape) < 0.95)
    dates = np.busday_offset("2020-01-01", np.arange(num_days), roll="forward").astype("datetime64[D]")
    return Bars(opened, high, low, close, volume, close * volume, sector, eligible, dates)


def features_of(bars: Bars, num_days: int | None = None) -> np.ndarray:
    """[C, N, F] of the last `num_days` days, or of all."""
    shape = bars.close.shape
    out = np.empty((shape[0] if num_days is None else num_days, shape[1], len(NAMES)), np.float32)
    compute_features(bars, out)
    return out


def part_of(bars: Bars, rows: slice, stocks: np.ndarray | slice = slice(None)) -> Bars:
    """The bars of some days and stocks."""
    values = {name: np.array(x[rows] if name == "dates" else x[rows][:, stocks]) for name, x in fields_of(bars).items()}
    return Bars(**values)


def fields_of(bars: Bars) -> dict[str, np.ndarray]:
    return {name: getattr(bars, name) for name in Bars.__dataclass_fields__}


def scaled(bars: Bars, price: float, volume: float = 1.0, stock: int | slice = SCALED) -> Bars:
    """The bars with prices and volumes multiplied through all of history."""
    changed = {name: getattr(bars, name).copy() for name in (*PRICES, "volume")}
    for name, values in changed.items():
        values[:, stock] *= volume if name == "volume" else price
    return replace(bars, **changed, turnover=changed["close"] * changed["volume"])


@pytest.fixture(scope="module")
def bars() -> Bars:
    return random_bars()


@pytest.fixture(scope="module")
def features(bars: Bars) -> np.ndarray:
    """[D, N, F] of the whole market at once."""
    return features_of(bars)


# --- all features


def test_there_are_about_eighty_features_or_more() -> None:
    assert len(NAMES) >= 80


@pytest.mark.parametrize("name", NAMES)
def test_every_feature_is_known_and_varies_on_the_last_day(bars: Bars, features: np.ndarray, name: str) -> None:
    column = features[-1, np.isfinite(bars.close[-1]) & bars.eligible[-1] & (bars.sector[-1] > 0), NAMES.index(name)]
    assert np.isfinite(column).mean() > 0.8
    assert name in CALENDAR or np.unique(column[np.isfinite(column)]).size > 1


def test_no_feature_is_infinite_and_all_are_missing_where_the_day_is(bars: Bars, features: np.ndarray) -> None:
    assert not np.isinf(features).any()
    assert np.isnan(features[~np.isfinite(bars.close)]).all()


@REPEATABLE
@given(last=st.integers(0, NUM_DAYS - 1))
def test_no_feature_reads_a_later_day(bars: Bars, features: np.ndarray, last: int) -> None:
    cut = features_of(part_of(bars, slice(0, last + 1)), num_days=1)
    np.testing.assert_array_equal(cut[0], features[last])


@REPEATABLE
@given(start=st.integers(0, NUM_DAYS - 1), length=st.integers(1, 40))
def test_a_chunk_with_its_reach_of_history_equals_the_whole_bit_for_bit(
    bars: Bars, features: np.ndarray, start: int, length: int
) -> None:
    stop = min(start + length, NUM_DAYS)
    chunk = features_of(part_of(bars, slice(max(0, start - REACH), stop)), num_days=stop - start)
    np.testing.assert_array_equal(chunk, features[start:stop])


@REPEATABLE
@given(place=st.integers(0, 10), count=st.integers(1, 5))
def test_stocks_that_are_not_there_change_no_bit(bars: Bars, features: np.ndarray, place: int, count: int) -> None:
    fill: dict[str, float] = {"eligible": False, "sector": 0}
    wider = {
        name: x if name == "dates" else np.insert(x, [place] * count, fill.get(name, np.nan), axis=1)
        for name, x in fields_of(bars).items()
    }
    actual = np.delete(features_of(Bars(**wider)), range(place, place + count), axis=1)
    np.testing.assert_array_equal(actual, features)


@pytest.fixture(scope="module")
def after_dividend(bars: Bars) -> np.ndarray:
    """Features when one stock's prices were adjusted backwards for a later dividend."""
    return features_of(scaled(bars, price=0.73))


@pytest.fixture(scope="module")
def after_split(bars: Bars) -> np.ndarray:
    """Features when one stock's prices and volumes were adjusted backwards for a later 1:4 split."""
    return features_of(scaled(bars, price=0.25, volume=4.0))


@pytest.mark.parametrize("name", NAMES)
def test_a_later_dividend_changes_no_feature(features: np.ndarray, after_dividend: np.ndarray, name: str) -> None:
    column = NAMES.index(name)
    np.testing.assert_allclose(after_dividend[..., column], features[..., column], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_later_split_changes_no_feature(features: np.ndarray, after_split: np.ndarray, name: str) -> None:
    column = NAMES.index(name)
    np.testing.assert_allclose(after_split[..., column], features[..., column], rtol=1e-4, atol=1e-4)


def test_another_currency_changes_no_feature_of_any_stock() -> None:
    bars = random_bars(300, seed=1)
    bars = replace(bars, volume=np.maximum(bars.volume, 1e4))
    bars = replace(bars, turnover=bars.close * bars.volume)
    expected, actual = features_of(bars), features_of(scaled(bars, price=150.0, stock=slice(None)))
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


# --- single features against naive formulas, on days and stocks without a gap


class Past:
    """What naive formulas read: the rows up to day t of stock n, the last one today."""

    def __init__(self, bars: Bars, t: int, n: int) -> None:
        self.bars, self.t, self.n = bars, t, n
        for name in ("open", "high", "low", "close", "volume", "turnover"):
            setattr(self, name, getattr(bars, name)[: t + 1, n])
        self.log_close: np.ndarray = np.log(bars.close[: t + 1, n])
        self.r: np.ndarray = np.diff(self.log_close, prepend=np.nan)
        every = np.diff(np.log(bars.close[: t + 1]), axis=0, prepend=np.nan)
        self.market: np.ndarray = np.array(
            [np.nan, *(np.nanmean(day[admitted]) for day, admitted in zip(every[1:], bars.eligible[1:], strict=False))]
        )

    def move(self, days: int) -> np.ndarray:
        """[N] log returns of all stocks over the last days."""
        return np.log(self.bars.close[self.t] / self.bars.close[self.t - days])

    def mean_move(self, days: int, sector: bool) -> float:
        """Of the universe, or of its part in the stock's sector, which must be a known one."""
        peers = self.bars.eligible[self.t].copy()
        if sector:
            peers &= (self.bars.sector[self.t] == self.bars.sector[self.t, self.n]) & (self.bars.sector[self.t] > 0)
        return float(np.nanmean(self.move(days)[peers])) if peers.any() else np.nan

    def residual_deviation(self, days: int) -> float:
        y, x = self.r[-days:], self.market[-days:]
        slope, level = np.polyfit(x, y, 1)
        return float(np.sqrt(((y - slope * x - level) ** 2).sum() / (days - 1)))

    def beta(self, days: int, lag: int = 0) -> float:
        market = self.market[len(self.market) - days - lag : len(self.market) - lag]
        return float(np.polyfit(market, self.r[-days:], 1)[0])


def exponential(x: np.ndarray, span: int) -> float:
    weight = (1 - 2 / (span + 1)) ** np.arange(len(x))[::-1]
    return float((weight * x).sum() / weight.sum())


def macd_line(p: Past, stop: int) -> float:
    return exponential(p.log_close[stop - 64 : stop], 12) - exponential(p.log_close[stop - 128 : stop], 26)


def rank_of(values: np.ndarray, p: Past) -> float:
    admitted = np.flatnonzero(p.bars.eligible[p.t] & np.isfinite(values))
    ranks = (rankdata(values[admitted]) - 0.5) / len(admitted) - 0.5
    return float(ranks[admitted.tolist().index(p.n)]) if p.n in admitted else np.nan


def location(p: Past) -> np.ndarray:
    return (2 * p.close - p.high - p.low) / (p.high - p.low)


def impact(p: Past, days: int) -> float:
    r, turnover = p.r[-days:], p.turnover[-days:]
    return float(np.mean(np.abs(r[turnover > 0]) / turnover[turnover > 0]))


def residual_momentum(p: Past, days: int, skip: int) -> float:
    before = Past(p.bars, p.t - skip, p.n)
    half = days // 2
    recent = before.r[-half:].mean() - before.beta(days) * before.market[-half:].mean()
    return float(recent / before.residual_deviation(days))


def month_place(p: Past) -> float:
    month = p.bars.dates[p.t].astype("datetime64[M]")
    first, after = month.astype("datetime64[D]"), (month + 1).astype("datetime64[D]")
    return float((p.bars.dates[p.t] - first) / (after - first) - 0.5)


def year_angle(p: Past) -> float:
    day = p.bars.dates[p.t].item().timetuple().tm_yday - 1
    return 2 * np.pi * day / 366


NAIVE: dict[str, Callable[[Past], float]] = {
    **{f"return_{d}": lambda p, d=d: p.log_close[-1] - p.log_close[-1 - d] for d in (1, 2, 3, 5, 10, 20, 60, 120, 250)},
    "momentum_60_5": lambda p: p.log_close[-6] - p.log_close[-61],
    "momentum_120_20": lambda p: p.log_close[-21] - p.log_close[-121],
    "momentum_250_20": lambda p: p.log_close[-21] - p.log_close[-251],
    **{
        f"scaled_return_{d}": lambda p, d=d: p.r[-d:].sum() / (p.r[-60:].std(ddof=1) + 1e-6) / np.sqrt(d)
        for d in (1, 5, 20, 60)
    },
    **{f"market_relative_{d}": lambda p, d=d: p.move(d)[p.n] - p.mean_move(d, sector=False) for d in (1, 5, 20, 60)},
    **{f"sector_relative_{d}": lambda p, d=d: p.move(d)[p.n] - p.mean_move(d, sector=True) for d in (1, 5, 20, 60)},
    **{
        f"sector_momentum_{d}": lambda p, d=d: p.mean_move(d, sector=True) - p.mean_move(d, sector=False)
        for d in (5, 20, 60)
    },
    **{f"volatility_{d}": lambda p, d=d: np.log(p.r[-d:].std(ddof=1) + 1e-6) for d in (5, 20, 60, 120)},
    "volatility_ratio_5_20": lambda p: np.log(p.r[-5:].std(ddof=1) / p.r[-20:].std(ddof=1)),
    "volatility_ratio_20_60": lambda p: np.log(p.r[-20:].std(ddof=1) / p.r[-60:].std(ddof=1)),
    **{
        f"downside_share_{d}": lambda p, d=d: (np.minimum(p.r[-d:], 0) ** 2).sum() / (p.r[-d:] ** 2).sum() - 0.5
        for d in (20, 60)
    },
    "gap": lambda p: np.log(p.open[-1] / p.close[-2]),
    "mean_gap_20": lambda p: np.log(p.open[-20:] / p.close[-21:-1]).mean(),
    "intraday": lambda p: np.log(p.close[-1] / p.open[-1]),
    "mean_intraday_20": lambda p: np.log(p.close[-20:] / p.open[-20:]).mean(),
    "range": lambda p: np.log(p.high[-1] / p.low[-1]),
    "mean_range_20": lambda p: np.log(p.high[-20:] / p.low[-20:]).mean(),
    "range_shock_20": lambda p: np.log(p.high[-1] / p.low[-1]) - np.log(p.high[-20:] / p.low[-20:]).mean(),
    "close_location": lambda p: location(p)[-1],
    "mean_close_location_5": lambda p: location(p)[-5:].mean(),
    "signed_volume_share_20": lambda p: p.volume[-20:][p.r[-20:] > 0].sum() / p.volume[-20:].sum() - 0.5,
    "illiquidity_shock_5_60": lambda p: np.log(impact(p, 5) / impact(p, 60)),
    "beta_60": lambda p: p.beta(60),
    "beta_120": lambda p: p.beta(120),
    "lagged_beta_60": lambda p: p.beta(60, lag=1),
    "market_share_of_variance_60": lambda p: np.corrcoef(p.r[-60:], p.market[-60:])[0, 1] ** 2,
    "residual_volatility_60": lambda p: np.log(p.residual_deviation(60) + 1e-6),
    "residual_momentum_60_5": lambda p: residual_momentum(p, 60, 5),
    "residual_momentum_120_20": lambda p: residual_momentum(p, 120, 20),
    "largest_return_20": lambda p: p.r[-20:].max(),
    "smallest_return_20": lambda p: p.r[-20:].min(),
    "skewness_60": lambda p: skew(p.r[-60:]),
    "kurtosis_60": lambda p: np.log(kurtosis(p.r[-60:], fisher=False)),
    "autocorrelation_20": lambda p: np.corrcoef(p.r[-20:], p.r[-21:-1])[0, 1],
    "share_of_gains_60": lambda p: (p.r[-60:] > 0).mean() - 0.5,
    **{f"below_high_{d}": lambda p, d=d: np.log(p.close[-1] / p.close[-d:].max()) for d in (20, 60, 250)},
    **{f"above_low_{d}": lambda p, d=d: np.log(p.close[-1] / p.close[-d:].min()) for d in (20, 60)},
    **{f"above_mean_{d}": lambda p, d=d: p.log_close[-1] - p.log_close[-d:].mean() for d in (5, 20, 60)},
    "band_position_20": lambda p: (p.log_close[-1] - p.log_close[-20:].mean()) / (p.log_close[-20:].std(ddof=1) + 1e-6),
    "stochastic_14": lambda p: (
        np.log(p.close[-1] / p.low[-14:].min()) / np.log(p.high[-14:].max() / p.low[-14:].min()) - 0.5
    ),
    "relative_strength_14": lambda p: np.maximum(p.r[-14:], 0).sum() / np.abs(p.r[-14:]).sum() - 0.5,
    "macd_12_26": lambda p: macd_line(p, len(p.close)),
    "macd_turn_12_26_9": lambda p: (
        macd_line(p, len(p.close)) - exponential(np.array([macd_line(p, len(p.close) - k) for k in range(64)][::-1]), 9)
    ),
    "weekday": lambda p: (p.bars.dates[p.t].item().weekday() - 2) / 2,
    "days_since_session": lambda p: np.log((p.bars.dates[p.t] - p.bars.dates[p.t - 1]).astype(int)),
    "month_position": month_place,
    "season_sine": lambda p: np.sin(year_angle(p)),
    "season_cosine": lambda p: np.cos(year_angle(p)),
    **{f"rank_return_{d}": lambda p, d=d: rank_of(p.move(d), p) for d in (1, 5, 20, 60)},
}
# These read volumes, of which the naive ones want positive ones.
NAIVE_VOLUME: dict[str, Callable[[Past], float]] = {
    **{f"volume_shock_{d}": lambda p, d=d: np.log(p.volume[-1]) - np.log(p.volume[-d:]).mean() for d in (5, 20, 60)},
    **{f"turnover_shock_{d}": lambda p, d=d: np.log(p.turnover[-1]) - np.log(p.turnover[-d:]).mean() for d in (20, 60)},
    "volume_trend_5_60": lambda p: np.log(p.volume[-5:]).mean() - np.log(p.volume[-60:]).mean(),
    "volume_deviation_20": lambda p: np.log(p.volume[-20:]).std(ddof=1),
    "volume_return_correlation_20": lambda p: np.corrcoef(np.diff(np.log(p.volume[-21:])), p.r[-20:])[0, 1],
}


@pytest.mark.parametrize("name", [*NAIVE, *NAIVE_VOLUME])
def test_a_feature_equals_its_naive_formula(bars: Bars, features: np.ndarray, name: str) -> None:
    naive = (NAIVE | NAIVE_VOLUME)[name]
    gapless = [(t, n) for t in range(260, NUM_DAYS, 29) for n in GAPLESS]
    if name in NAIVE_VOLUME:
        gapless = [(t, n) for t, n in gapless if (bars.volume[t - 60 : t + 1, n] > 0).all()]
    assert len(gapless) > 3
    expected = [naive(Past(bars, t, n)) for t, n in gapless]
    np.testing.assert_allclose([features[t, n, NAMES.index(name)] for t, n in gapless], expected, rtol=2e-4, atol=1e-5)
