"""About ninety causal features from OHLCV. Each is a ratio or a rank, so adjustment of the price levels cancels.

Every function reads [T, N] bars and no row after its own, nor more than `REACH` rows back; `FEATURES` is the list.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data.bars import Bars, Feature, day_rank, less_day_mean, less_group_mean, log, ratio
from data.rolling import (
    enough,
    exponential_mean,
    shift,
    window_count,
    window_covariance,
    window_deviation,
    window_max,
    window_mean,
    window_min,
    window_sum,
)

REACH = 384  # rows before a day that its features may read: no feature needs more, which a test holds
TINY = 1e-6  # return below which a deviation says nothing


def log_return(days: int) -> Feature:
    """Log return over the last `days` days."""
    return lambda bars: bars.log_close - shift(bars.log_close, days)


def momentum(days: int, skip: int) -> Feature:
    """Log return over `days` days, leaving out the last `skip` (Jegadeesh & Titman 1993)."""
    return lambda bars: shift(bars.log_close, skip) - shift(bars.log_close, days)


def scaled_return(days: int) -> Feature:
    """Log return in units of the stock's own 60-day volatility."""
    return lambda bars: log_return(days)(bars) / ((window_deviation(bars.returns, 60) + TINY) * np.sqrt(days))


def market_relative(days: int) -> Feature:
    """Log return minus the universe's mean."""
    return lambda bars: less_day_mean(log_return(days)(bars), bars.eligible)


def sector_relative(days: int) -> Feature:
    """Log return minus the mean of the stock's sector."""
    return lambda bars: less_group_mean(log_return(days)(bars), bars.sector, bars.eligible)


def sector_momentum(days: int) -> Feature:
    """Mean log return of the stock's sector minus the universe's (Moskowitz & Grinblatt 1999)."""
    return lambda bars: market_relative(days)(bars) - sector_relative(days)(bars)


def volatility(days: int) -> Feature:
    """Standard deviation of one-day returns, in logs so that its scale is comparable across stocks."""
    return lambda bars: log(window_deviation(bars.returns, days) + TINY)


def volatility_ratio(short: int, long: int) -> Feature:
    return lambda bars: volatility(short)(bars) - volatility(long)(bars)


def downside_share(days: int) -> Feature:
    """Share of the squared returns that came from losses, -0.5 to 0.5."""

    def compute(bars: Bars) -> np.ndarray:
        squares = bars.returns**2
        losses = np.where(np.isfinite(squares), np.where(bars.returns < 0, squares, 0.0), np.nan)
        return ratio(window_mean(losses, days), window_mean(squares, days)) - 0.5

    return compute


def gap(bars: Bars) -> np.ndarray:
    """Overnight move: today's open against yesterday's close."""
    return log(bars.open) - shift(bars.log_close, 1)


def intraday(bars: Bars) -> np.ndarray:
    return bars.log_close - log(bars.open)


def day_range(bars: Bars) -> np.ndarray:
    return log(bars.high) - log(bars.low)


def close_location(bars: Bars) -> np.ndarray:
    """Where the close lies within the day's range, -1 to 1."""
    return np.clip(ratio(2 * bars.close - bars.high - bars.low, bars.high - bars.low), -1, 1)


def mean_of(feature: Feature, days: int) -> Feature:
    """Trailing mean of another feature."""
    return lambda bars: window_mean(feature(bars), days)


def shock_of(feature: Feature, days: int) -> Feature:
    """Another feature less its own trailing mean."""

    def compute(bars: Bars) -> np.ndarray:
        values = feature(bars)
        return values - window_mean(values, days)

    return compute


def log_volume(bars: Bars) -> np.ndarray:
    """Not a feature itself: a level."""
    return bars.log_volume


def log_turnover(bars: Bars) -> np.ndarray:
    """Not a feature itself: a level."""
    return bars.log_turnover


def volume_trend(short: int, long: int) -> Feature:
    return lambda bars: window_mean(bars.log_volume, short) - window_mean(bars.log_volume, long)


def volume_deviation(days: int) -> Feature:
    """How unsteady the trading is: deviation of the log volume."""
    return lambda bars: window_deviation(bars.log_volume, days)


def signed_volume_share(days: int) -> Feature:
    """Share of the volume that was traded on days of gains, -0.5 to 0.5."""

    def compute(bars: Bars) -> np.ndarray:
        volume = np.where(np.isfinite(bars.returns), bars.volume, np.nan)
        gained = np.where(np.isfinite(volume), np.where(bars.returns > 0, volume, 0.0), np.nan)
        return ratio(window_mean(gained, days), window_mean(volume, days)) - 0.5

    return compute


def volume_return_correlation(days: int) -> Feature:
    """Correlation of the log volume's changes with returns."""

    def compute(bars: Bars) -> np.ndarray:
        return _correlation(bars.log_volume - shift(bars.log_volume, 1), bars.returns, days)

    return compute


def illiquidity_shock(short: int, long: int) -> Feature:
    """Log price impact (Amihud 2002) of the last days against the stock's own longer mean, free of its price level."""

    def compute(bars: Bars) -> np.ndarray:
        impact = ratio(np.abs(bars.returns), bars.turnover)
        return log(np.maximum(ratio(window_mean(impact, short), window_mean(impact, long)), 1e-3))

    return compute


def beta(days: int) -> Feature:
    """Slope of the stock's returns on the equal-weighted market's."""
    return lambda bars: _slope(bars.returns, bars.market, days)


def lagged_beta(days: int) -> Feature:
    """Slope on yesterday's market: who follows late (Hou & Moskowitz 2005)."""
    return lambda bars: _slope(bars.returns, shift(bars.market, 1), days)


def market_share_of_variance(days: int) -> Feature:
    """R^2 of the market model."""
    return lambda bars: _correlation(bars.returns, bars.market, days) ** 2


def residual_volatility(days: int) -> Feature:
    return lambda bars: log(_residual_deviation(bars, days) + TINY)


def residual_momentum(days: int, skip: int) -> Feature:
    """Mean market-model residual over its deviation (Blitz, Huij & Martens 2011), betas of the same window."""

    def compute(bars: Bars) -> np.ndarray:
        slope = _slope(bars.returns, bars.market, days)
        recent = window_mean(bars.returns, days // 2) - slope * window_mean(bars.market, days // 2)
        return shift(recent / (_residual_deviation(bars, days) + TINY), skip)

    return compute


def extreme(days: int, largest: bool) -> Feature:
    """Largest (or smallest) one-day return of the window (Bali, Cakici & Whitelaw 2011)."""
    return lambda bars: (window_max if largest else window_min)(bars.returns, days)


def skewness(days: int) -> Feature:
    return lambda bars: _standard_moment(bars.returns, days, 3)


def kurtosis(days: int) -> Feature:
    """Of the one-day returns, in logs."""
    return lambda bars: log(_standard_moment(bars.returns, days, 4))


def autocorrelation(days: int) -> Feature:
    """Of one-day returns at lag one."""
    return lambda bars: _correlation(bars.returns, shift(bars.returns, 1), days)


def share_of_gains(days: int) -> Feature:
    """Share of days with a gain, -0.5 to 0.5: a smooth rise against one jump (Da, Gurun & Warachka 2014)."""

    def compute(bars: Bars) -> np.ndarray:
        return window_mean(np.where(np.isfinite(bars.returns), (bars.returns > 0).astype(float), np.nan), days) - 0.5

    return compute


def below_high(days: int) -> Feature:
    """Log distance of the close from the window's highest close (George & Hwang 2004)."""
    return lambda bars: bars.log_close - window_max(bars.log_close, days)


def above_low(days: int) -> Feature:
    return lambda bars: bars.log_close - window_min(bars.log_close, days)


def above_mean(days: int) -> Feature:
    """Log distance of the close from its moving average."""
    return lambda bars: bars.log_close - window_mean(bars.log_close, days)


def band_position(days: int) -> Feature:
    """Distance from the moving average in the window's own deviations (Bollinger)."""
    return lambda bars: ratio(above_mean(days)(bars), window_deviation(bars.log_close, days) + TINY)


def stochastic(days: int) -> Feature:
    """Where the close lies between the window's lowest low and highest high, -0.5 to 0.5 (Lane's %K)."""

    def compute(bars: Bars) -> np.ndarray:
        low, high = window_min(log(bars.low), days), window_max(log(bars.high), days)
        return ratio(bars.log_close - low, high - low) - 0.5

    return compute


def relative_strength(days: int) -> Feature:
    """Share of the window's absolute moves that were gains (Wilder's RSI on simple means), -0.5 to 0.5."""

    def compute(bars: Bars) -> np.ndarray:
        return ratio(window_mean(np.maximum(bars.returns, 0), days), window_mean(np.abs(bars.returns), days)) - 0.5

    return compute


def macd(fast: int, slow: int) -> Feature:
    """Difference of two exponential means of the log close (Appel), hence free of the price level."""
    return lambda bars: exponential_mean(bars.log_close, fast) - exponential_mean(bars.log_close, slow)


def macd_turn(fast: int, slow: int, signal: int) -> Feature:
    """The MACD less its own exponential mean."""

    def compute(bars: Bars) -> np.ndarray:
        line = macd(fast, slow)(bars)
        return line - exponential_mean(line, signal)

    return compute


def weekday(bars: Bars) -> np.ndarray:
    """Monday -1 to Friday 1; the same for every stock."""
    return _everywhere(bars, ((bars.dates.astype(np.int64) + 3) % 7 - 2) / 2)


def days_since_session(bars: Bars) -> np.ndarray:
    """Log calendar days since the session before: weekends and holidays."""
    apart = np.diff(bars.dates.astype(np.int64), prepend=bars.dates[:1].astype(np.int64) - 1)
    return _everywhere(bars, np.log(np.maximum(apart, 1)))


def month_position(bars: Bars) -> np.ndarray:
    """Place of the date in its month, -0.5 to 0.5: turn-of-month effects."""
    month = bars.dates.astype("datetime64[M]")
    length = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)
    return _everywhere(bars, (bars.dates - month.astype("datetime64[D]")).astype(np.int64) / length - 0.5)


def season(sine: bool) -> Feature:
    """Day of the year on a circle."""

    def compute(bars: Bars) -> np.ndarray:
        day = (bars.dates - bars.dates.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64)
        angle = 2 * np.pi * day / 366
        return _everywhere(bars, np.sin(angle) if sine else np.cos(angle))

    return compute


def ranked(feature: Feature) -> Feature:
    """The feature's rank within its day, -0.5 to 0.5."""
    return lambda bars: day_rank(feature(bars), bars.eligible)


FEATURES: dict[str, Feature] = {
    **{f"return_{d}": log_return(d) for d in (1, 2, 3, 5, 10, 20, 60, 120, 250)},
    "momentum_60_5": momentum(60, 5),
    "momentum_120_20": momentum(120, 20),
    "momentum_250_20": momentum(250, 20),
    **{f"scaled_return_{d}": scaled_return(d) for d in (1, 5, 20, 60)},
    **{f"market_relative_{d}": market_relative(d) for d in (1, 5, 20, 60)},
    **{f"sector_relative_{d}": sector_relative(d) for d in (1, 5, 20, 60)},
    **{f"sector_momentum_{d}": sector_momentum(d) for d in (5, 20, 60)},
    **{f"volatility_{d}": volatility(d) for d in (5, 20, 60, 120)},
    "volatility_ratio_5_20": volatility_ratio(5, 20),
    "volatility_ratio_20_60": volatility_ratio(20, 60),
    "downside_share_20": downside_share(20),
    "downside_share_60": downside_share(60),
    "gap": gap,
    "mean_gap_20": mean_of(gap, 20),
    "intraday": intraday,
    "mean_intraday_20": mean_of(intraday, 20),
    "range": day_range,
    "mean_range_20": mean_of(day_range, 20),
    "range_shock_20": shock_of(day_range, 20),
    "close_location": close_location,
    "mean_close_location_5": mean_of(close_location, 5),
    **{f"volume_shock_{d}": shock_of(log_volume, d) for d in (5, 20, 60)},
    "turnover_shock_20": shock_of(log_turnover, 20),
    "turnover_shock_60": shock_of(log_turnover, 60),
    "volume_trend_5_60": volume_trend(5, 60),
    "volume_deviation_20": volume_deviation(20),
    "signed_volume_share_20": signed_volume_share(20),
    "volume_return_correlation_20": volume_return_correlation(20),
    "illiquidity_shock_5_60": illiquidity_shock(5, 60),
    "beta_60": beta(60),
    "beta_120": beta(120),
    "lagged_beta_60": lagged_beta(60),
    "market_share_of_variance_60": market_share_of_variance(60),
    "residual_volatility_60": residual_volatility(60),
    "residual_momentum_60_5": residual_momentum(60, 5),
    "residual_momentum_120_20": residual_momentum(120, 20),
    "largest_return_20": extreme(20, largest=True),
    "smallest_return_20": extreme(20, largest=False),
    "skewness_60": skewness(60),
    "kurtosis_60": kurtosis(60),
    "autocorrelation_20": autocorrelation(20),
    "share_of_gains_60": share_of_gains(60),
    **{f"below_high_{d}": below_high(d) for d in (20, 60, 250)},
    **{f"above_low_{d}": above_low(d) for d in (20, 60)},
    **{f"above_mean_{d}": above_mean(d) for d in (5, 20, 60)},
    "band_position_20": band_position(20),
    "stochastic_14": stochastic(14),
    "relative_strength_14": relative_strength(14),
    "macd_12_26": macd(12, 26),
    "macd_turn_12_26_9": macd_turn(12, 26, 9),
    "weekday": weekday,
    "days_since_session": days_since_session,
    "month_position": month_position,
    "season_sine": season(sine=True),
    "season_cosine": season(sine=False),
    **{f"rank_return_{d}": ranked(log_return(d)) for d in (1, 5, 20, 60)},
    "rank_momentum_250_20": ranked(momentum(250, 20)),
    "rank_volatility_20": ranked(volatility(20)),
    "rank_volume_shock_20": ranked(shock_of(log_volume, 20)),
    "rank_beta_60": ranked(beta(60)),
    "rank_illiquidity_shock_5_60": ranked(illiquidity_shock(5, 60)),
}


def compute_features(bars: Bars, out: np.ndarray, names: Sequence[str] = tuple(FEATURES)) -> None:
    """Fills out[C, N, len(names)] (float32) for the last C days of `bars`; NaN where history or day is missing."""
    rows = slice(len(bars.close) - len(out), None)
    unobserved = ~np.isfinite(bars.close[rows])
    for index, name in enumerate(names):
        values = FEATURES[name](bars)[rows]
        out[:, :, index] = np.where(unobserved | ~np.isfinite(values), np.nan, values)


def _everywhere(bars: Bars, by_day: np.ndarray) -> np.ndarray:
    return np.broadcast_to(by_day.astype(np.float64)[:, None], bars.close.shape)


def _slope(y: np.ndarray, x: np.ndarray, days: int) -> np.ndarray:
    """Least-squares slope of y on x."""
    x = np.where(np.isfinite(y) & np.isfinite(x), x, np.nan)
    return ratio(window_covariance(y, x, days), window_covariance(x, x, days))


def _correlation(x: np.ndarray, y: np.ndarray, days: int) -> np.ndarray:
    both = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(both, x, np.nan), np.where(both, y, np.nan)
    scale = window_deviation(x, days) * window_deviation(y, days)
    return np.clip(ratio(window_covariance(x, y, days), scale), -1, 1)


def _residual_deviation(bars: Bars, days: int) -> np.ndarray:
    """Deviation of the market model's residuals: sqrt(var(y) (1 - R^2))."""
    share = np.clip(1 - _correlation(bars.returns, bars.market, days) ** 2, 0, 1)
    return window_deviation(bars.returns, days) * np.sqrt(share)


def _standard_moment(x: np.ndarray, days: int, power: int) -> np.ndarray:
    """Mean of ((x - mean) / deviation)^power over the window, from raw moments."""
    count = window_count(x, days)
    mean, square, cube = (window_sum(x**p, days) / np.maximum(count, 1) for p in (1, 2, 3))
    variance = np.maximum(square - mean**2, 0)
    if power == 3:
        moment = cube - 3 * mean * square + 2 * mean**3
    else:
        fourth = window_sum(x**4, days) / np.maximum(count, 1)
        moment = fourth - 4 * mean * cube + 6 * mean**2 * square - 3 * mean**4
    scale = np.where(variance > TINY**2, variance, np.nan) ** (power / 2)
    return np.where(count >= enough(days), moment / scale, np.nan)
