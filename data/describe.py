"""A prepared market and what is asked of it, in a few lines: features, labels, universe, graph, hold-out."""

from __future__ import annotations

import numpy as np

from data.config import CorrelationGraphConfig, DataConfig
from data.features import FEATURES
from data.findings import counted
from data.store import MarketStore

SAMPLED_DAYS = 50


def describe(store: MarketStore, config: DataConfig) -> dict[str, str]:
    """Topic -> sentence, in the order in which they are shown; builds the graph where it is not there yet."""
    lines = {
        "features": _features(store),
        "labels": _labels(store, config),
        "universe": _universe(store, config),
        "graph": _graph(store, config),
    }
    if store.meta.holdout_from:
        lines["hold-out"] = f"from {store.meta.holdout_from} on; no array of the store knows it"
    return lines


def _features(store: MarketStore) -> str:
    meta = store.meta
    num_built_in = sum(name in FEATURES for name in meta.features) if meta.built_in else 0
    own = len(meta.features) - num_built_in
    parts = [f"{num_built_in} computed from open, high, low, close, volume"] if num_built_in else []
    if own:
        lags = ", ".join(f"{name} {counted(lag, 'day')} late" for name, lag in meta.lags.items() if name)
        parts.append(f"{own:,} of the panel's own columns" + (f" ({lags})" if lags else ""))
    return " and ".join(parts)


def _labels(store: MarketStore, config: DataConfig) -> str:
    meta, labels = store.meta, config.labels
    horizons = ", ".join(f"{h}d" for h in meta.horizons)
    source = (
        "the panel's " + ", ".join(meta.targets.values()) if meta.targets else f"returns from {labels.price} prices"
    )
    steps = [
        f"winsorised {100 * labels.winsorise:g}%" if labels.winsorise else "",
        "over volatility" if labels.scale_by_volatility else "",
        {"none": "", "day": "less the day's mean", "sector": "less the sector's mean"}[labels.centre],
        {"raw": "", "zscore": "as z-scores", "rank_gaussian": "as Gaussian ranks"}[labels.shape],
    ]
    entry = f"entered {counted(meta.delay, 'day')} later"
    masked = f"; {counted(meta.num_untradable, 'untradable one')} masked" if meta.num_untradable else ""
    return ", ".join([f"{horizons} {source}", entry, *filter(None, steps)]) + masked


def _universe(store: MarketStore, config: DataConfig) -> str:
    days = np.unique(np.linspace(0, store.num_days - 1, SAMPLED_DAYS).astype(int))
    admitted, there = (int(np.median(array[days].sum(axis=1))) for array in (store.eligible, store.present))
    asked = config.universe
    filters = {
        "section": ", ".join(asked.sections),
        "type": ", ".join(asked.security_types),
        f"{asked.turnover_window}-day turnover from": f"{asked.min_turnover:,.12g}" if asked.min_turnover else "",
    }
    told = "; ".join(f"{name} {value}" for name, value in filters.items() if value)
    return f"{admitted:,} of {there:,} stocks on a usual day ({told})" if told else f"{there:,} stocks on a usual day"


def _graph(store: MarketStore, config: DataConfig) -> str:
    graph = config.graph
    graphs = store.graphs(graph)
    if graphs is None or graph.kind == "none":
        return "none"
    kind = "within sectors"
    if isinstance(graph, CorrelationGraphConfig):
        kind = f"{graph.method} correlation of {counted(graph.window, 'day')}"
    placebo = ", shuffled" if graph.shuffled else ""
    return f"{kind}{placebo}, anew every {counted(graph.refresh_days, 'day')}, mean degree {graphs.mean_degree:.1f}"
