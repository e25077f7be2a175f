"""How low a rolling mean of daily RankIC may fall before it says something, for those who look every morning.

Who looks at a 60-day mean on each of 252 mornings sees it below its 5 % point in most years, by luck alone. The bound
that a year of mornings stays above with 95 % is simulated: labels of h days share their returns, so the series is a
moving average of h shocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

MORNINGS = 252
LEVEL = 0.95
DRAWS = 4000
POINTWISE = 1.645  # standard errors that one look stays above with 95 %


def year_bound(window: int, horizon: int) -> float:
    """Standard errors of the rolling mean that its lowest of a year stays above with 95 %.

    Args:
        window: days of the rolling mean.
        horizon: h, the label's length in trading days.
    """
    return float(np.quantile(_lowest(window, horizon), LEVEL))


def chance_of_alarm(expected: Expected, window: int, mean: float) -> float:
    """That a year of mornings has one below the bound, if a day's RankIC were `mean` in truth: the monitor's power."""
    limit = expected.lower_limit(window, year_bound(window, expected.horizon))
    error = math.sqrt(expected.long_run_variance / window)
    return float(np.mean(_lowest(window, expected.horizon) > (mean - limit) / error)) if error > 0 else 1.0


@cache
def _lowest(window: int, horizon: int) -> np.ndarray:
    """[DRAWS] how far a year's lowest rolling mean was below the truth, in its standard errors."""
    rng = np.random.default_rng(0)
    days = MORNINGS + window - 1
    shocks = rng.standard_normal((DRAWS, days + horizon - 1))
    daily = _rolling(shocks, horizon) / horizon  # of long-run variance 1
    means = _rolling(daily, window) / window
    return np.asarray(-means.min(axis=1) * math.sqrt(window))


@dataclass(frozen=True)
class Expected:
    """What a network's daily RankIC was on days that it had not learned from."""

    horizon: int  # trading days
    mean: float
    standard_error: float  # of the mean
    long_run_variance: float  # of a day: over n days the mean has this over n
    source: str  # of which days, in words

    def lower_limit(self, window: int, bound: float) -> float:
        """What a rolling mean stays above, where the network is as good as it was.

        Args:
            window: days of the rolling mean.
            bound: standard errors of those days; what was expected has its own error besides.
        """
        own = bound**2 * self.long_run_variance / window
        return self.mean - math.sqrt(own + POINTWISE**2 * self.standard_error**2)


def _rolling(x: np.ndarray, width: int) -> np.ndarray:
    """Sums over `width` neighbours of the last axis."""
    total = np.cumsum(x, axis=1)
    total[:, width:] -= total[:, :-width].copy()
    return total[:, width - 1 :]
