"""The user's own targets: returns beyond belief, percents, and windows that begin on another day than `delay` says."""

from __future__ import annotations

import numpy as np

from data.findings import Finding, doubt, error
from data.inspection.leaks import rank_correlations
from data.inspection.panel import LARGE_MEDIAN, Cells, Panel, sampled_days, sizes_on
from data.labels import forward_returns

SAME, MAX_DELAY = 0.97, 3  # rank correlation with the prices' own returns, and the delays that are tried


def own_targets(panel: Panel) -> list[Finding]:
    """All findings on the panel's own targets; none where labels come from prices."""
    found = []
    for number, (horizon, name) in enumerate(panel.columns.targets.items()):
        found += _sizes(panel, number, name) + _window(panel, number, horizon, name)
    return found


def _sizes(panel: Panel, number: int, name: str) -> list[Finding]:
    sizes = sizes_on(panel.labels[..., number], _sampled(panel))
    if len(sizes) and np.median(sizes) > LARGE_MEDIAN:
        law = "a target should be a return as a fraction (0.01 is 1%)"
        way = "Divide percents by 100; scores that are no returns may stay, as RankIC asks for their order alone."
        return [
            doubt("large target", name, len(sizes), "sampled value", f"median size {np.median(sizes):.3g}", law, way)
        ]
    absurd, limit = Cells(), panel.config.inspection.max_factor - 1
    for rows in panel.stretches():
        values = np.asarray(panel.labels[rows, :, number])
        absurd.add(panel, np.isfinite(values) & (values > limit), values, rows)
    if not absurd.count:
        return []
    law = f"a target must not be a return of more than {limit:g} (inspection.max_factor less one)"
    way = "Correct the rows; where it is real, raise inspection.max_factor."
    return [error("absurd target", name, absurd.count, "row", absurd.first, law, way)]


def _window(panel: Panel, number: int, horizon: int, name: str) -> list[Finding]:
    """Compared with returns of the same horizon from the closes, entered 0, 1, 2, .. days later."""
    if "close" not in panel.bars:
        return []
    each = [_agreement(panel, int(day), number, horizon) for day in _sampled(panel)]
    known = np.isfinite(each).sum(axis=0)
    mean = np.divide(np.nansum(each, axis=0), known, out=np.zeros(MAX_DELAY + 1), where=known >= 3)
    delay, asked = int(np.argmax(mean)), panel.config.delay
    if mean[delay] < SAME or delay == asked:
        return []
    law = f"a target must begin delay {asked} after its day, because purge and hold-out reckon with that"
    example = f"it is the {horizon}-day return from {delay} after it (rank correlation {mean[delay]:.2f})"
    make = error if delay > asked else doubt  # a later window reaches further than the purge
    return [make("target window", name, int(known[delay]), "sampled day", example, law, f"Set delay: {delay}.")]


def _agreement(panel: Panel, day: int, number: int, horizon: int) -> np.ndarray:
    """[MAX_DELAY + 1] rank correlations of a day's target with the closes' returns at each delay."""
    close = np.asarray(panel.bars["close"][day : day + horizon + MAX_DELAY + 1])
    anything = np.isfinite(close)
    returns = [forward_returns(close, close, anything, (horizon,), delay)[0] for delay in range(MAX_DELAY + 1)]
    target = np.asarray(panel.labels[day, :, number : number + 1], np.float64)
    return rank_correlations(target, np.concatenate(returns, axis=1), panel.config.min_stocks)[0]


def _sampled(panel: Panel) -> np.ndarray:
    return sampled_days(panel.present.shape[0] - panel.config.reach - MAX_DELAY)
