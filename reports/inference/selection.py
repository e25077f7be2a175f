"""How good the best of many looks by luck alone, and what is left of a Sharpe ratio once that is taken off.

Bailey, Lopez de Prado 2014, "The Deflated Sharpe Ratio", Journal of Portfolio Management 40(5); Bailey, Borwein, Lopez
de Prado, Zhu 2014, "Pseudo-Mathematics and Financial Charlatanism", Notices of the AMS 61(5). Sharpe ratios are per
period (per day for daily returns), never annual, unless a name says so; kurtosis is raw: 3 for a normal distribution.
"""

from __future__ import annotations

import math

from scipy import stats

EULER_MASCHERONI = 0.5772156649015329


def expected_maximum(num_trials: float) -> float:
    """Of so many independent standard normal draws, in standard deviations; 0 for one (equation 6 of the second paper).

    Args:
        num_trials: N, at least 1; an effective number need not be whole.

    Raises:
        ValueError: fewer than one.
    """
    if num_trials < 1:
        raise ValueError(f"at least one trial must have been made, got {num_trials}.")
    if num_trials == 1:
        return 0.0
    best = stats.norm.ppf(1 - 1 / num_trials)
    next_best = stats.norm.ppf(1 - 1 / (num_trials * math.e))
    return float((1 - EULER_MASCHERONI) * best + EULER_MASCHERONI * next_best)


def luck(num_trials: float, variance: float) -> float:
    """SR0: the Sharpe ratio that the best of N trials without skill is expected to show.

    Args:
        num_trials: N.
        variance: of the trials' Sharpe ratios, per period.
    """
    return math.sqrt(variance) * expected_maximum(num_trials)


def deflated_sharpe_ratio(
    sharpe: float, num_trials: float, variance: float, num_periods: int, skew: float, kurtosis: float
) -> float:
    """Probability that the true Sharpe ratio of the best is above zero, given that it was picked from N.

    Args:
        sharpe: per period, of the one that was picked.
        num_trials: N, see `effective_number`.
        variance: of all trials' Sharpe ratios, per period.
        num_periods: T, of the returns.
        skew: of the picked one's returns.
        kurtosis: raw, of the same.

    Raises:
        ValueError: fewer than two periods, or moments that no distribution has.
    """
    if num_periods < 2:
        raise ValueError(f"a Sharpe ratio needs at least 2 periods, got {num_periods}.")
    spread = 1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2
    if spread <= 0:
        raise ValueError(f"kurtosis must be at least 1 + skew^2, got {kurtosis} with a skew of {skew}.")
    excess = sharpe - luck(num_trials, variance)
    return float(stats.norm.cdf(excess * math.sqrt(num_periods - 1) / math.sqrt(spread)))


def effective_number(num_trials: int, mean_correlation: float) -> float:
    """Independent trials that so many correlated ones are worth: rho + (1 - rho) N, at least 1.

    Args:
        num_trials: N, raw.
        mean_correlation: rho, of the trials' daily series with each other.
    """
    return max(1.0, mean_correlation + (1 - mean_correlation) * num_trials)


def minimum_backtest_years(num_trials: float, annual_sharpe: float) -> float:
    """Years without which the best of N trials without skill is expected to show this annual Sharpe ratio.

    Args:
        num_trials: N.
        annual_sharpe: above zero.

    Raises:
        ValueError: it is not.
    """
    if annual_sharpe <= 0:
        raise ValueError(f"an annual Sharpe ratio to be reached must be above 0, got {annual_sharpe}.")
    return (expected_maximum(num_trials) / annual_sharpe) ** 2
