"""What an experiment can find: said before launch from a pilot's variance, and again afterwards."""

from __future__ import annotations

from scipy import stats

from reports.inference.effect import Effect, satterthwaite
from reports.inference.long_run import num_cosines
from reports.inference.verdict import ALPHA

POWER = 0.80


def minimum_detectable(found: Effect, num_arms: int, power: float = POWER) -> float:
    """The smallest true difference that one of so many arms is told apart by, as often as `power` says.

    (t_{1 - alpha / 2m} + t_{power}) SE, at the effect's degrees of freedom; what it found itself does not matter.

    Args:
        found: a pilot, or the experiment itself.
        num_arms: m, of the family, whose intervals are simultaneous.
        power: chance to find it.
    """
    quantiles = stats.t.ppf([1 - ALPHA / (2 * num_arms), power], found.degrees)
    return float(quantiles.sum()) * found.standard_error


def projected(found: Effect, horizon: int, num_seeds: int, num_days: int) -> Effect:
    """The effect as an experiment of another size would know it: its variances over more or fewer seeds and days.

    Args:
        found: a pilot.
        horizon: h of the labels, in days.
        num_seeds: S, at least 2.
        num_days: T.
    """
    days_part = found.days_part * found.num_days / num_days
    seeds_part = found.seeds_part * found.num_seeds / num_seeds
    degrees = satterthwaite(days_part, num_cosines(num_days, horizon), seeds_part, num_seeds - 1)
    return Effect(found.mean, days_part, seeds_part, degrees, num_seeds, num_days)
