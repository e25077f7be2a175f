"""Features that are, or nearly are, a forward return."""

from __future__ import annotations

import numpy as np

from data.bars import day_rank
from data.findings import Finding, doubt, error
from data.inspection.panel import Panel, sampled_days
from data.labels import forward_returns

LEAK, SUSPICIOUS = 0.97, 0.5  # |mean daily rank correlation| of a feature and a forward return


def leaks(panel: Panel) -> list[Finding]:
    """Own features that are, or nearly are, a forward return."""
    if not panel.columns.own:
        return []
    days = panel.present.shape[0]
    sampled = sampled_days(days - panel.config.reach - 1)
    each = []
    for day in sampled:
        own = np.asarray(panel.features[day, :, panel.num_built_in :], np.float64)
        each.append(rank_correlations(own, _futures(panel, int(day)), panel.config.min_stocks))
    count = np.isfinite(each).sum(axis=0)
    total = np.nansum(each, axis=0)
    found = []
    mean = np.abs(np.divide(total, count, out=np.zeros_like(total), where=count >= 3))
    strongest = mean.max(axis=1)
    for number, name in enumerate(panel.columns.own):
        value = float(strongest[number])
        if value < SUSPICIOUS or name in panel.config.inspection.allow_leaks:
            continue
        make, law = (
            (error, "no feature may be a forward return")
            if value >= LEAK
            else (doubt, "no honest daily feature ranks tomorrow this well")
        )
        way = f"Exclude it (columns.exclude: {name}), or shift it; inspection.allow_leaks: [{name}] admits it."
        example = f"mean daily rank correlation {value:.2f} with a forward return"
        found.append(make("leak", name, int(count.max()), "sampled day", example, law, way))
    return found


def _futures(panel: Panel, day: int) -> np.ndarray:
    """[N, J] forward returns of a day: the store's labels, and those from prices at delays 0 and 1."""
    futures = [np.asarray(panel.labels[day], np.float64)]
    if "close" in panel.bars:
        stop = day + panel.config.reach + 2
        close = np.asarray(panel.bars["close"][day:stop])
        anything = np.isfinite(close)
        horizons = panel.config.horizons
        futures += [forward_returns(close, close, anything, horizons, delay)[0] for delay in (0, 1)]
    return np.concatenate(futures, axis=1)


def rank_correlations(x_NF: np.ndarray, y_NJ: np.ndarray, min_stocks: int) -> np.ndarray:
    """[F, J] Spearman correlations over the stocks known in both, NaN where too few or constant."""
    everyone = np.ones((1, 1), bool)
    ranks = [day_rank(values.T, np.broadcast_to(everyone, values.T.shape)) for values in (x_NF, y_NJ)]
    out = np.full((x_NF.shape[1], y_NJ.shape[1]), np.nan)
    x, y = (np.where(np.isfinite(rank), rank, 0.0) for rank in ranks)
    known_x, known_y = (np.isfinite(rank).astype(float) for rank in ranks)
    count = known_x @ known_y.T
    sum_x, sum_y = x @ known_y.T, known_x @ y.T
    covariance = x @ y.T - sum_x * sum_y / np.maximum(count, 1)
    variance_x = (x**2) @ known_y.T - sum_x**2 / np.maximum(count, 1)
    variance_y = known_x @ (y**2).T - sum_y**2 / np.maximum(count, 1)
    scale = np.sqrt(np.maximum(variance_x * variance_y, 0))
    return np.divide(covariance, scale, out=out, where=(count >= min_stocks) & (scale > 1e-9))
