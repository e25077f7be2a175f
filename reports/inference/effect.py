"""The effect of an arm: its daily skill minus the reference's, seed by seed, and how far off that may be.

Shape legend: S seeds, T days.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from reports.inference.long_run import Array, ewc_variance, num_cosines, overlap_seen

MIN_SEEDS = 5
SEEDS_SHARE = 0.10  # of the squared error that may be the seeds', before more of them are trained


@dataclass(frozen=True)
class Effect:
    """Mean of d[s, t] with its error: SE^2 = Omega_EWC(mean over seeds)/T + Var_s(mean over days)/S.

    Omega is divided by what its cosines see of overlapping labels (`overlap_seen`), or at T = 250 and h = 20 a 5 % test
    would reject 6.5 % of null families.
    """

    mean: float
    days_part: float  # of the squared error: Omega / T
    seeds_part: float  # Var_s / S
    degrees: float  # of freedom: Satterthwaite's, of nu and S - 1
    num_seeds: int
    num_days: int

    @property
    def standard_error(self) -> float:
        return math.sqrt(self.days_part + self.seeds_part)

    @property
    def seeds_share(self) -> float:
        """Of the squared error; 0 where there is none."""
        whole = self.days_part + self.seeds_part
        return self.seeds_part / whole if whole else 0.0

    @property
    def p_value(self) -> float:
        """Two-sided, of no effect; 1 where nothing differs at all."""
        if not self.standard_error:
            return 1.0 if self.mean == 0 else 0.0
        return float(2 * stats.t.sf(abs(self.mean) / self.standard_error, self.degrees))

    def interval(self, level: float) -> tuple[float, float]:
        """Two-sided, of this effect alone: 'level' .95 is a 95 % interval."""
        reach = float(stats.t.ppf((1 + level) / 2, self.degrees)) * self.standard_error
        return self.mean - reach, self.mean + reach


def effect(d_ST: Array, horizon: int) -> Effect:
    """The headline of one arm.

    Args:
        d_ST: [S, T], arm minus reference on identical (day, stock) cells; days in calendar order.
        horizon: h, the label's length in trading days.

    Raises:
        ValueError: fewer than two seeds or days, or a number that is not finite.
    """
    seeds, days = d_ST.shape
    if seeds < 2 or days < 2:
        raise ValueError(f"an effect needs at least 2 seeds and 2 days, got {seeds} and {days}.")
    if not np.isfinite(d_ST).all():
        raise ValueError("every difference must be finite: leave out pairs that are not complete.")
    nu = num_cosines(days, horizon)
    days_part = float(ewc_variance(d_ST.mean(axis=0), nu)) / overlap_seen(nu, days, horizon) / days
    seeds_part = float(d_ST.mean(axis=1).var(ddof=1)) / seeds
    return Effect(
        float(d_ST.mean()), days_part, seeds_part, satterthwaite(days_part, nu, seeds_part, seeds - 1), seeds, days
    )


def effect_of_days(d_T: Array, horizon: int) -> Effect:
    """Of a series without seeds, such as a simple predictor's: the error of the days alone.

    Raises:
        ValueError: as `effect`.
    """
    return effect(np.stack([d_T, d_T]), horizon)


def satterthwaite(one: float, one_degrees: float, other: float, other_degrees: float) -> float:
    """Degrees of freedom of a sum of two independent variances (Satterthwaite 1946, Biometrics Bulletin 2(6))."""
    whole = one**2 / one_degrees + other**2 / other_degrees
    return (one + other) ** 2 / whole if whole else min(one_degrees, other_degrees)


def needs_seeds(found: Effect, most: int = 20) -> bool:
    """Whether more seeds are to be trained. By precision alone, never by sign: the verdict is looked at once."""
    return found.num_seeds < MIN_SEEDS or (found.seeds_share > SEEDS_SHARE and found.num_seeds < most)


def more_days(found: Effect, wanted: float) -> int:
    """Days beside those there are until an effect of size `wanted` would be two standard errors; seeds as they are.

    Raises:
        ValueError: the seeds' part alone is larger: days cannot help.
    """
    room = (wanted / 2) ** 2 - found.seeds_part
    if room <= 0:
        raise ValueError("the seeds' part of the error alone is too large: more days cannot help.")
    return max(0, math.ceil(found.num_days * found.days_part / room) - found.num_days)
