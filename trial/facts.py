"""What a study says of itself besides its trials: market, folds, objective, where its results came from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from optuna.storages import RDBStorage

from data.market import MarketSketch
from data.splits import Splits
from data.store import MarketStore
from search_spaces.config import TrialConfig
from storage.ledger import market_id
from storage.provenance import keep_provenance, provenance
from storage.study import StudyStore

ROOT = Path(__file__).resolve().parent.parent


def tell_facts(study: StudyStore, panel: Path, market: MarketStore, splits: Splits, base: TrialConfig) -> None:
    """Writes what every study of this market and configuration says; the caller adds what is its own."""
    meta = market.meta
    graphs = market.graphs(base.data.graph)
    facts = {
        "panel_name": panel.name,
        "panel_path": str(panel.resolve()),
        "panel": meta.panel_key,
        "store": meta.store_key,
        "market": meta.market,
        "doubts": meta.doubts,
        "mean_degree": graphs.mean_degree if graphs else None,
        "num_stocks": len(meta.codes),
        "holdout_from": meta.holdout_from,
        "folds_by_date": folds_by_date(market, splits),
        "horizons": meta.horizons,
        "horizon_weights": list(base.train.horizon_weights),
        "provenance": summary_of(whole_provenance()),
    }
    for key, value in facts.items():
        study.study.set_user_attr(key, value)


def folds_by_date(market: MarketStore, splits: Splits) -> dict[str, list[str]]:
    """Fold -> first and last training day, first and last scored day."""
    dates = market.meta.dates
    return {
        fold.name: [dates[fold.train[0]], dates[fold.train[-1]], dates[fold.score[0]], dates[fold.score[-1]]]
        for fold in splits.folds
    }


@cache
def whole_provenance() -> dict[str, Any]:
    """Code, git state with the difference, packages, hardware: of this process, read once."""
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return provenance(ROOT, gpus)


def summary_of(whole: dict[str, Any]) -> dict[str, str]:
    """The lines that a report shows."""
    hardware = whole["hardware"]
    return {
        "code": whole["code"],
        "git": whole["git"],
        "python": whole["python"],
        "platform": whole["platform"],
        "processor": f"{hardware['processor']}, {hardware['cores']} cores, {hardware['memory_mib']} MiB",
        "gpus": ", ".join(hardware["gpus"]) or "none",
        **{f"version/{name}": whole["packages"].get(name, "?") for name in ("torch", "optuna", "ray", "numpy")},
    }


def market_number(storage: RDBStorage, market: MarketStore) -> int:
    """By which the store's ledger knows the market, however much its panels have grown."""
    own = market.sketch

    def is_same(known: Mapping[str, Any]) -> bool:
        return own.overlap(MarketSketch.from_dict(dict(known))).is_same_market

    return market_id(storage.engine, market.meta.market["sketch"], is_same)


def kept_provenance(storage: RDBStorage) -> str:
    """Stores this process's provenance once, and returns the key that trials refer to."""
    return keep_provenance(storage.engine, whole_provenance())
