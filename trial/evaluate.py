"""Scoring a fold: daily cross-sectional RankIC of the averaged weights on every scored day, dropout off."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from data.loader import FoldBlocks
from model.atft import ATFT
from model.metrics import METRICS
from search_spaces.config import TrialConfig
from trial.endings import constant_predictions, diverged


class Scores(NamedTuple):
    """What was predicted and what came: V scored days, N stocks, K horizons."""

    days: np.ndarray  # [V] positions in the store
    score: np.ndarray  # [V, N, K]
    label: np.ndarray  # [V, N, K] forward returns
    mask: np.ndarray  # [V, N, K] bool


@dataclass(frozen=True)
class EpochResult:
    """One epoch of one trial, as it is stored: plain numbers and strings."""

    epoch: int  # from 1
    is_last: bool
    value: float  # daily RankIC, mean over days, weighted over horizons
    best_so_far: float  # largest value up to this epoch: what early stopping ranks by
    losses: dict[str, float]  # mean over the epoch's steps, by part
    metrics: dict[str, float]  # "valid/rank_ic/5": mean over days
    daily_rank_ic: dict[str, list[float | None]]  # ISO day -> per horizon, None where undefined
    seconds: float
    peak_memory_mib: float
    micro_batch: int  # days per forward pass
    num_days_left_out: int  # scored days with too few stocks
    bad_steps: int  # steps left out for a non-finite loss or gradient

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> EpochResult:
        return cls(**content)


def predict(model: ATFT, blocks: FoldBlocks) -> Scores:
    """Scores of every scored day with the model as it stands, in evaluation mode.

    Raises:
        TrialEnded: a prediction is not finite.
    """
    model.eval()
    parts: list[tuple[np.ndarray, ...]] = []
    with torch.inference_mode():
        for block in blocks.scored():
            out = model(*block.inputs)
            tensors = (out.score_BNK, block.return_BNK, block.label_mask_BNK)
            parts.append((np.arange(block.days.start, block.days.stop), *(t.cpu().numpy().copy() for t in tensors)))
    days, score, label, mask = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not np.isfinite(score[mask]).all():
        raise diverged(f"{int((~np.isfinite(score[mask])).sum())} of {int(mask.sum())} predictions are not finite")
    return Scores(days, score, label, mask)


class Evaluation(NamedTuple):
    value: float
    metrics: dict[str, float]
    daily_rank_ic: dict[str, list[float | None]]
    num_days_left_out: int


def evaluate(scores: Scores, blocks: FoldBlocks, config: TrialConfig) -> Evaluation:
    """Means over days of the daily metrics.

    Raises:
        TrialEnded: the predictions rank nothing on any day of some horizon.
    """
    horizons, weights = config.data.horizons, np.array(config.train.horizon_weights)
    metrics: dict[str, float] = {}
    daily: dict[str, np.ndarray] = {}
    for name, metric in METRICS.items():
        daily[name] = metric(scores.score, scores.label, scores.mask, config.data.min_stocks)
        for k, horizon in enumerate(horizons):
            if not np.isfinite(daily[name][:, k]).any():
                raise constant_predictions(
                    f"the {horizon}-day scores of all {len(scores.days)} scored days are constant across stocks"
                )
            metrics[f"valid/{name}/{horizon}"] = float(np.nanmean(daily[name][:, k]))
    by_horizon = np.array([metrics[f"valid/rank_ic/{horizon}"] for horizon in horizons])
    dates = [str(day) for day in blocks.store.dates[scores.days]]
    rows = {
        day: [None if math.isnan(v) else float(v) for v in row]
        for day, row in zip(dates, daily["rank_ic"], strict=True)
    }
    left_out = sum(not blocks.has_enough_stocks(int(day)) for day in scores.days)
    return Evaluation(float(by_horizon @ weights / weights.sum()), metrics, rows, left_out)
