"""What an experiment can find: said before launch from a pilot's variance, and again afterwards."""

from __future__ import annotations

from scipy import stats

from reports.inference.effect import Effect
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
