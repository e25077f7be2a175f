"""Panel -> MarketStore, once: features, labels, masks and graphs are computed, written aside and swapped in whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from filelock import FileLock

from data.config import CorrelationGraphConfig, DataConfig
from data.errors import DataError
from data.features import FEATURES, compute_features
from data.graph import DailyGraphs, build_graphs
from data.labels import forward_returns
from data.migrations import SCHEMA_VERSION
from data.panel import Panel, panel_key, read_panel
from data.store import MarketStore, StoreMeta

FEATURES_VERSION = 1  # raise when the meaning of a feature changes: it is part of the store's key
USABLE_SHARE = 0.5  # a day is usable once half of its cells are known
Say = Callable[[str], None]


def prepare(panel_path: Path, prepared: Path, config: DataConfig, say: Say = lambda _: None) -> MarketStore:
    """Opens the store of (panel bytes, settings) under `prepared`, making it first if it is not there.

    The last `holdout_days` days are cut off before anything is computed, so no array of the store knows them.
    A second process waits for the first; a killed one leaves nothing that looks finished.

    Raises:
        DataError: see `read_panel`; too few days or stocks.
    """
    key = panel_key(panel_path)
    folder = prepared / store_key(key, config)
    if not (folder / "meta.json").exists():
        prepared.mkdir(parents=True, exist_ok=True)
        with FileLock(prepared / f".{folder.name}.lock"):
            if not (folder / "meta.json").exists():
                _build(panel_path, key, folder, config, say)
    return MarketStore.open(folder)


def store_key(panel: str, config: DataConfig) -> str:
    """Hash of the panel's bytes and of every setting that the store's arrays depend on."""
    settings = {
        "panel": panel,
        "features": list(FEATURES),
        "features_version": FEATURES_VERSION,
        "horizons": config.horizons,
        "delay": config.delay,
        "holdout_days": config.splits.holdout_days,
        "graph": config.graph.model_dump(),
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def _build(panel_path: Path, key: str, folder: Path, config: DataConfig, say: Say) -> None:
    say(f"reading {panel_path}")
    whole = read_panel(panel_path)
    _refuse_small(whole, config)
    panel = whole.until(len(whole.dates) - config.splits.holdout_days).listed()
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    for left in folder.parent.glob(f".{folder.name}.*.tmp"):  # of killed preparations: the lock is ours
        shutil.rmtree(left)
    scratch.mkdir(parents=True)
    try:
        first_known = _write_arrays(panel, scratch, config, say)
        graphs = _write_graphs(panel, scratch, config, say)
        meta = StoreMeta(
            schema_version=SCHEMA_VERSION,
            store_key=folder.name,
            panel_key=key,
            market=_market(whole),
            dates=[str(date) for date in panel.dates],
            codes=panel.codes.tolist(),
            features=list(FEATURES),
            horizons=list(config.horizons),
            delay=config.delay,
            first_known=first_known,
            first_graph=graphs.first_day if graphs else 0,
            holdout_from=str(whole.dates[len(panel.dates)]) if len(panel.dates) < len(whole.dates) else None,
            mean_degree=graphs.mean_degree if graphs else None,
        )
        (scratch / "meta.json").write_text(json.dumps(asdict(meta)))
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _refuse_small(panel: Panel, config: DataConfig) -> None:
    num_days, num_stocks = panel.observed.shape
    if num_stocks < config.min_stocks:
        raise DataError(f"a panel needs at least {config.min_stocks} stocks to rank, but this one has {num_stocks}.")
    if num_days - config.splits.holdout_days <= config.window + config.purge:
        raise DataError(
            f"a panel needs more days than hold-out {config.splits.holdout_days} + window {config.window} + purge "
            f"{config.purge}, but this one has {num_days}. Bring a longer panel."
        )
    daily = panel.observed.sum(axis=1)
    if np.median(daily) < config.min_stocks:
        raise DataError(
            f"a usual day must have at least {config.min_stocks} stocks, but the median day has "
            f"{int(np.median(daily))}. Is every stock in the panel?"
        )


def _write_arrays(panel: Panel, folder: Path, config: DataConfig, say: Say) -> int:
    say(f"computing {len(FEATURES)} features of {len(panel.codes)} stocks on {len(panel.dates)} days")
    shape = (*panel.observed.shape, len(FEATURES))
    features = np.lib.format.open_memmap(folder / "features.npy", mode="w+", dtype=np.float32, shape=shape)
    compute_features(panel, features)
    features.flush()
    labels = forward_returns(panel.prices["close"], config.horizons, config.delay)
    np.save(folder / "labels.npy", labels)
    np.save(folder / "observed.npy", panel.observed)
    known = np.isfinite(features).mean(axis=2).mean(axis=1) / np.maximum(panel.observed.mean(axis=1), 1e-9)
    usable = np.flatnonzero(known >= USABLE_SHARE)
    if not len(usable):
        raise DataError("no day has half of its features; the panel is too short or too sparse.")
    return int(usable[0])


def _write_graphs(panel: Panel, folder: Path, config: DataConfig, say: Say) -> DailyGraphs | None:
    if not isinstance(config.graph, CorrelationGraphConfig):
        return None
    say(f"building neighbour graphs every {config.graph.refresh_days} days")
    graphs = build_graphs(panel.prices["close"], panel.sector, panel.industry, config.graph)
    (folder / "graph").mkdir()
    graphs.save(folder / "graph")
    return graphs


def _market(panel: Panel) -> dict[str, object]:
    """What identifies the market, whatever columns or days are added to the file later."""
    return {
        "first_date": str(panel.dates[0]),
        "last_date": str(panel.dates[-1]),
        "num_codes": len(panel.codes),
        "codes": hashlib.sha256("\n".join(panel.codes).encode()).hexdigest()[:16],
    }
