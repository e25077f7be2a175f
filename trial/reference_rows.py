"""Ridge, LightGBM, the last known label and chance, on the days and labels of a confirm study, kept in the store."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from optuna.storages import RDBStorage

from data.loader import FoldBlocks
from data.store import MarketStore
from model.metrics import rank_ic
from search_spaces.config import TrialConfig
from storage.names import sweep_of
from storage.references import Reference, forget_other_references, put_reference, read_references
from storage.study import StudyStore
from trial.baselines import BASELINES, baseline_scores, days_of
from trial.build import blocks_of
from trial.evaluate import Scores
from trial.scorecard import scorecard

LAST_VALUE, RANDOM = "last_value", "random"
LOTS = 50
REFERENCES_VERSION = 2  # raise when the same data and settings give other scores


def missing_references(
    storage: RDBStorage, study: str, config: TrialConfig, market: MarketStore
) -> Iterator[tuple[str, str, str]]:
    """Name, fold and key of those that the store does not have for this data: on the search fold for a search study,
    else on the confirm folds. LightGBM only where it is installed."""
    known = {(one.name, one.fold, one.key) for one in read_references(storage, study)}
    names = [name for name in BASELINES if name != "lightgbm" or importlib.util.find_spec(name)]
    for fold, key in _keys(study, config, market).items():
        for name in (*names, LAST_VALUE, RANDOM):
            if (name, fold, key) not in known:
                yield name, fold, key


def forget_references_of_others(study: StudyStore, config: TrialConfig, market: MarketStore) -> None:
    """Those of data or settings that the study was about before, so that no report holds them beside its trials."""
    forget_other_references(study.storage, study.name, _keys(study.name, config, market).values())


def _keys(study: str, config: TrialConfig, market: MarketStore) -> dict[str, str]:
    """By fold that the study's predictors are fitted for."""
    splits = market.splits(config.data)
    folds = (splits.search,) if sweep_of(study) == study else splits.confirm
    return {fold.name: _key(config, market, fold.name) for fold in folds}


def keep_reference(
    storage: RDBStorage, study: str, name: str, fold: str, key: str, config: TrialConfig, market: MarketStore
) -> None:
    """Fits one on a fold's training days, scores its scored days, and writes what came out.

    Raises:
        SpaceError: too few training days to choose a setting on.
    """
    config = config.replace(fold=fold)
    blocks = blocks_of(config, market)
    scores, setting = _scores(name, blocks, config)
    daily_DK = rank_ic(scores.score, scores.label, scores.mask, config.data.min_stocks)
    if name == RANDOM:
        daily_DK = _mean_of_lots(scores, config)
    days = [str(market.dates[day]) for day in scores.days]
    result: dict[str, Any] = {
        "horizons": list(config.data.horizons),
        "daily_rank_ic": {day: _plain(values_K) for day, values_K in zip(days, daily_DK, strict=True)},
        "scorecard": scorecard(scores, market, config),
        "setting": setting,
    }
    put_reference(storage, study, Reference(name, fold, key, result))


def _scores(name: str, blocks: FoldBlocks, config: TrialConfig) -> tuple[Scores, Any]:
    if name in BASELINES:
        return baseline_scores(name, blocks, config)
    days, scored = np.arange(blocks.fold.score.start, blocks.fold.score.stop), days_of(blocks, blocks.fold.score)
    shape = scored.label_DNK.shape
    score = _last_known(blocks.store, days, config) if name == LAST_VALUE else _by_lot(shape, config.seed)
    return Scores(days, score, scored.label_DNK, scored.mask_DNK, score[..., None], scored.target_DNK), None


def _last_known(store: MarketStore, days: np.ndarray, config: TrialConfig) -> np.ndarray:
    """[V, N, K]: of each horizon, the latest return that was over by the day's close; 0 where there is none."""
    known = [
        np.asarray(store.labels[np.maximum(days - config.data.delay - horizon, 0), :, k])
        for k, horizon in enumerate(config.data.horizons)
    ]
    return np.nan_to_num(np.stack(known, axis=-1))


def _mean_of_lots(scores: Scores, config: TrialConfig) -> np.ndarray:
    """[V, K]: daily RankIC, mean over many rankings by lot; that of a single one is now and then far from zero."""
    lots = (_by_lot(scores.score.shape, seed) for seed in range(config.seed, config.seed + LOTS))
    daily = [rank_ic(score, scores.label, scores.mask, config.data.min_stocks) for score in lots]
    return np.mean(daily, axis=0)


def _by_lot(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def _plain(values_K: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values_K]


def _key(config: TrialConfig, market: MarketStore, fold: str) -> str:
    """What decides a reference's scores: the store, the days, features and labels; nothing of the network."""
    content: dict[str, Any] = {
        "version": REFERENCES_VERSION,
        "lots": LOTS,
        "seed": config.seed,
        "store": market.meta.store_key,
        "data": config.data.model_dump(mode="json"),
        "fold": fold,
    }
    content |= {"weights": list(config.train.horizon_weights), "validation": config.train.validation_days}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
