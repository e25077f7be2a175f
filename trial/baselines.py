"""Ridge and LightGBM on the same days, features and labels as a network: what it has to beat.

Both see the last day's scaled features of each stock and learn the same daily targets, one model per horizon. Their one
setting (shrinkage, number of trees) is chosen on the last fifth of the training days, purged; then they learn on all.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from data.loader import FoldBlocks
from model.metrics import rank_ic
from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from trial.evaluate import Scores

SHRINKAGES = (1e-3, 1e-2, 1e-1, 1.0)  # of features of unit spread, whose days weigh alike
TREES = (50, 100, 200)
MOST_CELLS = 5e8  # features of all stocks and days that are held at once; beyond it every n-th training day is learned
INNER_SHARE = 0.2  # of the training days, on which the setting is chosen
LIGHTGBM = {
    "objective": "regression",
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_data_in_leaf": 500,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "feature_fraction": 0.5,
    "lambda_l2": 10.0,
    "verbose": -1,
    "deterministic": True,
    "force_row_wise": True,
}


class Days(NamedTuple):
    """Some days of a fold, whole cross-sections."""

    x_DNF: np.ndarray
    target_DNK: np.ndarray
    label_DNK: np.ndarray
    mask_DNK: np.ndarray


Predictor = Callable[[np.ndarray], np.ndarray]
"""[D, N, F] -> [D, N, K]."""

Fit = Callable[[Days, Any, int], Predictor]
"""(days to learn, setting, seed) -> predictor."""


class Baseline(NamedTuple):
    """How one is fitted, and the settings to choose from."""

    fit: Fit
    settings: tuple[Any, ...]


def refuse_unknown(names: Iterable[str]) -> None:
    """Raises SpaceError, before anything is prepared, where there is no such baseline or its package is missing."""
    for name in names:
        if name not in BASELINES:
            raise SpaceError(f"a reference must be one of {', '.join(BASELINES)}, got {name!r}.")
        if name == "lightgbm" and importlib.util.find_spec("lightgbm") is None:
            raise SpaceError(
                "the LightGBM reference needs its package. Install it with `pip install lightgbm`, or leave it out: "
                "--only ridge."
            )


def baseline_scores(name: str, blocks: FoldBlocks, config: TrialConfig) -> tuple[Scores, Any]:
    """Scores of the fold's scored days, and the setting that was chosen.

    Raises:
        SpaceError: too few training days to choose a setting on.
    """
    baseline, train = BASELINES[name], blocks.fold.train
    learned = days_of(blocks, train, MOST_CELLS)
    every = round(len(train) / len(learned.x_DNF))
    inner = max(1, round(INNER_SHARE * len(learned.x_DNF)))
    purged = len(learned.x_DNF) - inner - -(-config.data.purge // every)
    if purged < 1:
        raise SpaceError(
            f"{name} needs days to choose its setting on, but {len(train)} training days are too few for a purge of "
            f"{config.data.purge}. Bring a longer panel."
        )
    first, last = (Days(*(part[place] for part in learned)) for place in (slice(0, purged), slice(-inner, None)))
    chosen = max(baseline.settings, key=lambda each: _value(baseline.fit(first, each, config.seed), last, config))
    scored = days_of(blocks, blocks.fold.score)
    score = baseline.fit(learned, chosen, config.seed)(scored.x_DNF)
    days = np.arange(blocks.fold.score.start, blocks.fold.score.stop)
    mask = scored.mask_DNK
    return Scores(days, score, scored.label_DNK, mask, score[..., None], scored.target_DNK), chosen


def fit_ridge(days: Days, shrinkage: float, seed: int) -> Predictor:
    """Least squares with a penalty, by the normal equations of daily means: a day counts once."""
    num_features, horizons = days.x_DNF.shape[2], days.target_DNK.shape[2]
    weights = np.empty((num_features + 1, horizons))
    for k in range(horizons):
        gram, moment = np.zeros((num_features + 1, num_features + 1)), np.zeros(num_features + 1)
        for x_NF, target_NK, mask_NK in zip(days.x_DNF, days.target_DNK, days.mask_DNK, strict=True):
            rows = _with_constant(x_NF[mask_NK[:, k]])
            if len(rows):
                gram += rows.T @ rows / len(rows)
                moment += rows.T @ target_NK[mask_NK[:, k], k] / len(rows)
        penalty = shrinkage * len(days.x_DNF) * np.eye(num_features + 1)
        weights[:, k] = np.linalg.solve(gram + penalty, moment)
    return lambda x_DNF: _with_constant(x_DNF) @ weights


def fit_lightgbm(days: Days, trees: int, seed: int) -> Predictor:
    """Gradient-boosted trees (Ke et al. 2017)."""
    import lightgbm  # optional: `refuse_unknown` has looked

    boosters = []
    for k in range(days.target_DNK.shape[2]):
        mask = days.mask_DNK[..., k]
        table = lightgbm.Dataset(days.x_DNF[mask], np.ascontiguousarray(days.target_DNK[mask][:, k]))
        boosters.append(lightgbm.train({**LIGHTGBM, "seed": seed}, table, trees))

    def predict(x_DNF: np.ndarray) -> np.ndarray:
        flat = x_DNF.reshape(-1, x_DNF.shape[2])
        columns = [np.asarray(booster.predict(flat)) for booster in boosters]
        return np.stack(columns, axis=1).reshape(*x_DNF.shape[:2], len(boosters))

    return predict


BASELINES: dict[str, Baseline] = {
    "ridge": Baseline(fit_ridge, SHRINKAGES),
    "lightgbm": Baseline(fit_lightgbm, TREES),
}


def days_of(blocks: FoldBlocks, days: range, most_cells: float = np.inf) -> Days:
    """The last rows of every day's window, of every n-th day where there are too many: a model without memory."""
    cells = len(days) * len(blocks.store.codes) * len(blocks.store.meta.features)
    every = max(1, int(np.ceil(cells / most_cells)))
    return Days(*(np.concatenate(column) for column in zip(*_pieces(blocks, days, every), strict=True)))


def _pieces(blocks: FoldBlocks, days: range, every: int) -> Iterator[tuple[np.ndarray, ...]]:
    for block in blocks.in_order(days):
        kept = [place for place, day in enumerate(block.days) if (day - days.start) % every == 0]
        x_BNF = block.x_TNF[-len(block.days) :]
        parts = (x_BNF, block.target_BNK, block.return_BNK, block.label_mask_BNK)
        yield tuple(part[kept].cpu().numpy() for part in parts)


def _value(predictor: Predictor, days: Days, config: TrialConfig) -> float:
    """Mean daily RankIC, weighted over horizons; least where it is not defined."""
    daily = rank_ic(predictor(days.x_DNF), days.label_DNK, days.mask_DNK, config.data.min_stocks)
    weights = np.array(config.train.horizon_weights)
    known = np.isfinite(daily).any(axis=0)
    if not known.any():
        return -np.inf
    return float(np.nanmean(daily[:, known], axis=0) @ weights[known] / weights[known].sum())


def _with_constant(x: np.ndarray) -> np.ndarray:
    return np.concatenate([x, np.ones((*x.shape[:-1], 1), x.dtype)], axis=-1).astype(np.float64)
