"""Daily series as overlapping labels make them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def overlapping(rng: np.random.Generator, shape: tuple[int, ...], horizon: int) -> Array:
    """Each day the mean of the next `horizon` daily shocks: neighbours share all but one of them. Unit variance."""
    shocks = rng.normal(size=(*shape[:-1], shape[-1] + horizon - 1))
    summed = np.cumsum(np.concatenate([np.zeros((*shape[:-1], 1)), shocks], axis=-1), axis=-1)
    return np.asarray((summed[..., horizon:] - summed[..., :-horizon]) / np.sqrt(horizon))


def paired(
    rng: np.random.Generator, seeds: int, days: int, horizon: int, mean: float = 0.0, seed_sd: float = 0.5
) -> Array:
    """[S, T]: what the days share, what a seed has of its own every day, and noise."""
    shared_T = overlapping(rng, (days,), horizon)
    own_ST = 0.5 * overlapping(rng, (seeds, days), horizon)
    return mean + shared_T + own_ST + seed_sd * rng.normal(size=(seeds, 1))
