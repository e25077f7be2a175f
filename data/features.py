"""Causal features from OHLCV. Each is a ratio, so split or dividend adjustment of the levels cancels.

Every function takes and returns [day, stock] frames and reads no row after its own; `FEATURES` is the list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data.panel import Panel


@dataclass(frozen=True)
class Bars:
    """What the feature functions read: D x N frames of prices and the series derived from them once."""

    open: pd.DataFrame
    high: pd.DataFrame
    low: pd.DataFrame
    close: pd.DataFrame
    volume: pd.DataFrame
    log_close: pd.DataFrame
    returns: pd.DataFrame  # one-day log return
    market: pd.Series  # equal-weighted mean of the one-day log returns
    sector: np.ndarray  # [N]

    @classmethod
    def of(cls, panel: Panel) -> Bars:
        frames = {name: pd.DataFrame(values) for name, values in panel.prices.items()}
        log_close = _log(frames["close"])
        returns = log_close - log_close.shift(1)
        return cls(**frames, log_close=log_close, returns=returns, market=returns.mean(axis=1), sector=panel.sector)


Feature = Callable[[Bars], pd.DataFrame]


def log_return(days: int) -> Feature:
    """Log return over the last `days` days."""
    return lambda bars: bars.log_close - bars.log_close.shift(days)


def momentum(days: int, skip: int) -> Feature:
    """Log return over `days` days, leaving out the last `skip` (Jegadeesh & Titman 1993)."""
    return lambda bars: bars.log_close.shift(skip) - bars.log_close.shift(days)


def market_relative(days: int) -> Feature:
    """Log return minus the cross-section's mean."""
    return lambda bars: _less_mean(log_return(days)(bars))


def sector_relative(days: int) -> Feature:
    """Log return minus the mean of the stock's sector."""

    def compute(bars: Bars) -> pd.DataFrame:
        own = log_return(days)(bars)
        return own - own.T.groupby(bars.sector).transform("mean").T

    return compute


def volatility(days: int) -> Feature:
    """Standard deviation of one-day returns, in logs so that its scale is comparable across stocks."""
    return lambda bars: _log(_sd(bars.returns, days) + 1e-6)


def volatility_ratio(short: int, long: int) -> Feature:
    return lambda bars: _log((_sd(bars.returns, short) + 1e-6) / (_sd(bars.returns, long) + 1e-6))


def gap(bars: Bars) -> pd.DataFrame:
    """Overnight move: today's open against yesterday's close."""
    return _log(bars.open) - bars.log_close.shift(1)


def intraday(bars: Bars) -> pd.DataFrame:
    return bars.log_close - _log(bars.open)


def day_range(bars: Bars) -> pd.DataFrame:
    return _log(bars.high / bars.low)


def mean_range(days: int) -> Feature:
    return lambda bars: _mean(day_range(bars), days)


def close_location(bars: Bars) -> pd.DataFrame:
    """Where the close lies within the day's range, -1 to 1."""
    width = bars.high - bars.low
    return ((2 * bars.close - bars.high - bars.low) / width.where(width > 0)).clip(-1, 1)


def volume_shock(days: int) -> Feature:
    """Log volume against its own trailing mean."""

    def compute(bars: Bars) -> pd.DataFrame:
        log_volume = _log(bars.volume + 1)
        return log_volume - _mean(log_volume, days)

    return compute


def illiquidity_shock(short: int, long: int) -> Feature:
    """Log price impact (Amihud 2002) of the last days against the stock's own longer mean, free of its price level."""

    def compute(bars: Bars) -> pd.DataFrame:
        traded = bars.close * bars.volume
        impact = bars.returns.abs() / traded.where(traded > 0)
        recent, usual = _mean(impact, short), _mean(impact, long)
        return _log((recent / usual.where(usual > 0)).clip(lower=1e-3))

    return compute


def beta(days: int) -> Feature:
    """Slope of the stock's returns on the equal-weighted market's."""
    return lambda bars: _beta(bars, days)


def residual_volatility(days: int) -> Feature:
    return lambda bars: _log(_sd(_residual(bars, days), days) + 1e-6)


def residual_momentum(days: int, skip: int) -> Feature:
    """Sum of market-model residuals (Blitz, Huij & Martens 2011), scaled by their deviation."""

    def compute(bars: Bars) -> pd.DataFrame:
        residual = _residual(bars, days)
        return (_mean(residual, days) / (_sd(residual, days) + 1e-6)).shift(skip)

    return compute


def extreme(days: int, largest: bool) -> Feature:
    """Largest (or smallest) one-day return of the window (Bali, Cakici & Whitelaw 2011)."""

    def compute(bars: Bars) -> pd.DataFrame:
        rolling = bars.returns.rolling(days, min_periods=_enough(days))
        return rolling.max() if largest else rolling.min()

    return compute


def skewness(days: int) -> Feature:
    return lambda bars: bars.returns.rolling(days, min_periods=_enough(days)).skew()


def below_high(days: int) -> Feature:
    """Log distance of the close from the window's highest close."""
    return lambda bars: bars.log_close - bars.log_close.rolling(days, min_periods=_enough(days)).max()


def above_mean(days: int) -> Feature:
    """Log distance of the close from its moving average."""
    return lambda bars: bars.log_close - _mean(bars.log_close, days)


def relative_strength(days: int) -> Feature:
    """Share of the window's absolute moves that were gains (Wilder's RSI on simple means), -0.5 to 0.5."""

    def compute(bars: Bars) -> pd.DataFrame:
        gains, moves = _mean(bars.returns.clip(lower=0), days), _mean(bars.returns.abs(), days)
        return gains / moves.where(moves > 0) - 0.5

    return compute


def macd(fast: int, slow: int) -> Feature:
    """Difference of two exponential means of the log close (Appel), hence free of the price level."""
    return lambda bars: bars.log_close.ewm(span=fast).mean() - bars.log_close.ewm(span=slow).mean()


def ranked(feature: Feature) -> Feature:
    """The feature's rank within its day, -0.5 to 0.5."""
    return lambda bars: _rank(feature(bars))


FEATURES: dict[str, Feature] = {
    **{f"return_{d}": log_return(d) for d in (1, 2, 3, 5, 10, 20, 60)},
    "momentum_120_20": momentum(120, 20),
    **{f"market_relative_{d}": market_relative(d) for d in (1, 5, 20)},
    **{f"sector_relative_{d}": sector_relative(d) for d in (1, 5, 20, 60)},
    **{f"volatility_{d}": volatility(d) for d in (5, 20, 60)},
    "volatility_ratio_5_20": volatility_ratio(5, 20),
    "volatility_ratio_20_60": volatility_ratio(20, 60),
    "gap": gap,
    "intraday": intraday,
    "range": day_range,
    "mean_range_20": mean_range(20),
    "close_location": close_location,
    **{f"volume_shock_{d}": volume_shock(d) for d in (5, 20, 60)},
    "illiquidity_shock_5_60": illiquidity_shock(5, 60),
    "beta_60": beta(60),
    "residual_volatility_60": residual_volatility(60),
    "residual_momentum_60_5": residual_momentum(60, 5),
    "largest_return_20": extreme(20, largest=True),
    "smallest_return_20": extreme(20, largest=False),
    "skewness_60": skewness(60),
    "below_high_20": below_high(20),
    "below_high_120": below_high(120),
    "above_mean_20": above_mean(20),
    "above_mean_60": above_mean(60),
    "relative_strength_14": relative_strength(14),
    "macd_12_26": macd(12, 26),
    **{f"rank_return_{d}": ranked(log_return(d)) for d in (1, 5, 20, 60)},
    "rank_momentum_120_20": ranked(momentum(120, 20)),
    "rank_volatility_20": ranked(volatility(20)),
    "rank_volume_shock_20": ranked(volume_shock(20)),
    "rank_beta_60": ranked(beta(60)),
    "rank_illiquidity_shock_5_60": ranked(illiquidity_shock(5, 60)),
}


def compute_features(panel: Panel, out: np.ndarray) -> None:
    """Fills out[D, N, F] (float32) with `FEATURES` in order; NaN where the history or the day is missing."""
    bars = Bars.of(panel)
    unobserved = ~panel.observed
    for index, feature in enumerate(FEATURES.values()):
        values = feature(bars).to_numpy(dtype=np.float64, copy=True)
        values[unobserved | ~np.isfinite(values)] = np.nan
        out[:, :, index] = values


def _log(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(np.log(frame))


def _enough(days: int) -> int:
    """Observations below which a rolling value is missing: two thirds of the window."""
    return max(2, (2 * days) // 3)


def _mean(frame: pd.DataFrame, days: int) -> pd.DataFrame:
    return frame.rolling(days, min_periods=_enough(days)).mean()


def _sd(frame: pd.DataFrame, days: int) -> pd.DataFrame:
    return frame.rolling(days, min_periods=_enough(days)).std()


def _less_mean(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sub(frame.mean(axis=1), axis=0)


def _rank(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.rank(axis=1, pct=True) - 0.5


def _beta(bars: Bars, days: int) -> pd.DataFrame:
    market = bars.market
    product = _mean(bars.returns.mul(market, axis=0), days)
    market_mean = market.rolling(days, min_periods=_enough(days)).mean()
    market_variance = market.rolling(days, min_periods=_enough(days)).var(ddof=0)
    covariance = product - _mean(bars.returns, days).mul(market_mean, axis=0)
    return covariance.div(market_variance.where(market_variance > 0), axis=0)


def _residual(bars: Bars, days: int) -> pd.DataFrame:
    return bars.returns - _beta(bars, days).mul(bars.market, axis=0)
