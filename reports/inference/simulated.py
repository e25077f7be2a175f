"""Markets on which the truth is known: daily differences of arms, as overlapping labels, seeds and regimes make them.

Shape legend: A arms, S seeds, T days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.signal import lfilter

from reports.inference.long_run import Array

Days = Literal["normal", "heavy", "regimes", "drifting"]
DAY_SD, SEED_DAY_SD = 0.03, 0.015  # of daily RankIC's difference: what seeds share, and what a seed has of its own
DEGREES, REGIME_PERSISTENCE, REGIME_SD = 4, 0.98, 0.1  # Student's t; log volatility's autocorrelation and shocks
DRIFT_PERSISTENCE, DRIFT_SHARE = 0.93, 0.3  # half-life of ten days; of the variance


@dataclass(frozen=True)
class Setting:
    """One kind of market."""

    days: int  # T
    horizon: int  # h, of the labels
    kind: Days = "normal"  # shocks: normal, Student's t, of changing volatility, or with skill that comes and goes
    seed_sd: float = 0.003  # of a training's mean difference
    effects: tuple[float, ...] = (0.0,) * 4  # true differences, one per arm


def simulate(rng: np.random.Generator, setting: Setting, seeds: int) -> Array:
    """[A, S, T]: arm minus reference. The arms share the reference, so that they are correlated by one half."""
    arms, days, horizon = len(setting.effects), setting.days, setting.horizon
    sides_AT = DAY_SD / np.sqrt(2) * overlapping(_shocks(rng, (arms + 1, days + horizon - 1), setting.kind), horizon)
    own_AST = rng.normal(size=(arms + 1, seeds, days + horizon - 1))
    sides_AST = sides_AT[:, None] + SEED_DAY_SD / np.sqrt(2) * overlapping(own_AST, horizon)
    sides_AST += setting.seed_sd / np.sqrt(2) * rng.normal(size=(arms + 1, seeds, 1))
    return np.asarray(sides_AST[1:] - sides_AST[:1] + np.array(setting.effects)[:, None, None])


def overlapping(shocks: Array, horizon: int) -> Array:
    """Each day the mean of `horizon` daily shocks, of which its neighbour shares all but one; their variance stays.

    Args:
        shocks: [.., T + horizon - 1].
        horizon: h in days.

    Returns:
        [.., T].
    """
    summed = np.cumsum(np.concatenate([np.zeros((*shocks.shape[:-1], 1)), shocks], axis=-1), axis=-1)
    return np.asarray((summed[..., horizon:] - summed[..., :-horizon]) / np.sqrt(horizon))


def _shocks(rng: np.random.Generator, shape: tuple[int, int], kind: Days) -> Array:
    """Of unit variance."""
    if kind == "heavy":
        return np.asarray(rng.standard_t(DEGREES, size=shape) / np.sqrt(DEGREES / (DEGREES - 2)))
    plain = rng.normal(size=shape)
    if kind == "regimes":
        log_sd = _autoregressive(rng, shape, REGIME_PERSISTENCE) * REGIME_SD / np.sqrt(1 - REGIME_PERSISTENCE**2)
        return np.asarray(plain * np.exp(log_sd - REGIME_SD**2 / (1 - REGIME_PERSISTENCE**2)))
    if kind == "drifting":
        drift = _autoregressive(rng, shape, DRIFT_PERSISTENCE)
        return np.asarray(np.sqrt(1 - DRIFT_SHARE) * plain + np.sqrt(DRIFT_SHARE) * drift)
    return plain


def _autoregressive(rng: np.random.Generator, shape: tuple[int, int], persistence: float) -> Array:
    """Of unit variance from its first day on."""
    shocks = rng.normal(size=shape) * np.sqrt(1 - persistence**2)
    shocks[..., 0] = rng.normal(size=shape[:-1])
    return np.asarray(lfilter([1.0], [1.0, -persistence], shocks, axis=-1))
