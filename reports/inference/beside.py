"""Two other intervals of the same effect, which stand beside the verdict's and never decide.

Simulated, both are too short at overlapping labels: of null markets the bootstrap alone rejects 8 to 12 % at 20 days.

Shape legend: S seeds, T days, R draws.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from reports.inference.long_run import Array, newey_west_variance

DRAWS = 2000


def newey_west_interval(d_ST: Array, horizon: int, level: float = 0.95) -> tuple[float, float]:
    """Normal quantiles around the mean; of the seeds' mean alone, so that their own error is left out.

    Args:
        d_ST: [S, T], arm minus reference; days in calendar order.
        horizon: h in trading days.
        level: of a two-sided interval.
    """
    mean_T = d_ST.mean(axis=0)
    reach = float(stats.norm.ppf((1 + level) / 2)) * math.sqrt(newey_west_variance(mean_T, horizon) / len(mean_T))
    return float(mean_T.mean()) - reach, float(mean_T.mean()) + reach


def bootstrap_interval(
    d_ST: Array, horizon: int, rng: np.random.Generator, level: float = 0.95, draws: int = DRAWS
) -> tuple[float, float]:
    """Percentiles of means over seeds drawn anew and, within each draw, circular blocks of days drawn anew.

    Args:
        d_ST: [S, T], arm minus reference; days in calendar order.
        horizon: h; blocks have 2h days, or T^(1/3) where that is more.
        rng: that draws.
        level: of a two-sided interval.
        draws: R.
    """
    means_R = bootstrap_means(d_ST, block_length(d_ST.shape[1], horizon), rng, draws)
    low, high = np.quantile(means_R, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def block_length(num_days: int, horizon: int) -> int:
    """Days of a block, at most all of them."""
    return min(num_days, max(2 * horizon, math.ceil(num_days ** (1 / 3))))


def bootstrap_means(d_ST: Array, length: int, rng: np.random.Generator, draws: int) -> Array:
    """[R] means; as many whole blocks as cover the days."""
    seeds, days = d_ST.shape
    around = np.concatenate([d_ST, d_ST[:, : length - 1]], axis=1)
    sums = np.cumsum(np.concatenate([np.zeros((seeds, 1)), around], axis=1), axis=1)
    blocks_ST = (sums[:, length:] - sums[:, :-length]) / length  # mean of the block that begins on a day
    chosen_RS = rng.integers(seeds, size=(draws, seeds))
    starts_RB = rng.integers(days, size=(draws, math.ceil(days / length)))
    means_SRB = blocks_ST[:, starts_RB]
    weights_RS = np.stack([(chosen_RS == seed).mean(axis=1) for seed in range(seeds)], axis=1)
    return np.asarray(np.einsum("srb,rs->r", means_SRB, weights_RS) / starts_RB.shape[1])
