"""Scoring a fold: daily cross-sectional metrics of the averaged weights on every scored day, dropout off."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np
import torch

from data.loader import FoldBlocks
from model.atft import ATFT
from model.metrics import METRICS, information_ratio, rank_ic
from search_spaces.config import TrialConfig
from trial.endings import constant_predictions, diverged, no_scored_day


class Scores(NamedTuple):
    """What was predicted and what came: V scored days, N stocks, K horizons, Q quantiles."""

    days: np.ndarray  # [V] positions in the store
    score: np.ndarray  # [V, N, K]
    label: np.ndarray  # [V, N, K] forward returns
    mask: np.ndarray  # [V, N, K] bool
    level: np.ndarray  # [V, N, K, Q] in the targets' unit; Q = 1 for a point
    target: np.ndarray  # [V, N, K] what was learned of the labels


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
    phase: str = "all"
    learning_rate: float = 0.0  # of the last step
    gradient_norm: float = 0.0  # before clipping, mean over steps
    validation: float | None = None  # RankIC of the validation days, where somebody watches them
    vitals: dict[str, Any] = field(default_factory=dict)  # attention, neighbours' share, spread (`model/vitals.py`)
    scorecard: dict[str, float] = field(default_factory=dict)  # of the last epoch (`trial/scorecard.py`)
    inside: dict[str, Any] = field(default_factory=dict)  # of the last epoch, in confirm (`trial/inside.py`)
    events: list[dict[str, str]] = field(default_factory=list)  # what happened besides (`trial/events.py`)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> EpochResult:
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in content.items() if name in known})


def predict(model: ATFT, blocks: FoldBlocks, days: range) -> Scores:
    """Scores of scored or validation days with the model as it stands, in evaluation mode.

    Raises:
        TrialEnded: a prediction is not finite.
    """
    model.eval()
    parts: list[tuple[np.ndarray, ...]] = []
    with torch.inference_mode():
        for block in blocks.in_order(days):
            out = model(*block.inputs)
            tensors = (out.score_BNK, block.return_BNK, block.label_mask_BNK, out.level_BNKQ, block.target_BNK)
            parts.append((np.arange(block.days.start, block.days.stop), *(t.cpu().numpy().copy() for t in tensors)))
    scores = Scores(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    wrong = ~np.isfinite(scores.score[scores.mask])
    if wrong.any():
        raise diverged(f"{int(wrong.sum())} of {len(wrong)} predictions are not finite")
    return scores


class Evaluation(NamedTuple):
    value: float
    metrics: dict[str, float]
    daily_rank_ic: dict[str, list[float | None]]
    num_days_left_out: int


def evaluate(scores: Scores, blocks: FoldBlocks, config: TrialConfig) -> Evaluation:
    """Means over days of the daily metrics, and RankIC's information ratio per day.

    Raises:
        TrialEnded: no day contributes to some horizon, or the predictions rank nothing on any day of it.
    """
    horizons = config.data.horizons
    daily = {
        name: metric(scores.score, scores.label, scores.mask, config.data.min_stocks)
        for name, metric in METRICS.items()
    }
    _refuse_undefined(daily["rank_ic"], scores, config)
    judged = {name: _without_skill_where_constant(values, scores, config) for name, values in daily.items()}
    metrics = {
        f"valid/{name}/{horizon}": float(np.nanmean(values[:, k]))
        for name, values in judged.items()
        for k, horizon in enumerate(horizons)
    }
    for k, horizon in enumerate(horizons):
        ratio = information_ratio(judged["rank_ic"][:, k])
        if math.isfinite(ratio):
            metrics[f"valid/rank_icir/{horizon}"] = ratio
    rows = {
        str(blocks.store.dates[day]): [None if math.isnan(v) else float(v) for v in row]
        for day, row in zip(scores.days, daily["rank_ic"], strict=True)
    }
    left_out = sum(not blocks.has_enough_stocks(int(day)) for day in scores.days)
    return Evaluation(_weighted(judged["rank_ic"], config), metrics, rows, left_out)


def weighted_rank_ic(scores: Scores, config: TrialConfig) -> float:
    """Daily RankIC, mean over days, weighted over horizons.

    Raises:
        TrialEnded: as `evaluate`.
    """
    daily = rank_ic(scores.score, scores.label, scores.mask, config.data.min_stocks)
    _refuse_undefined(daily, scores, config)
    return _weighted(_without_skill_where_constant(daily, scores, config), config)


def _without_skill_where_constant(daily_VK: np.ndarray, scores: Scores, config: TrialConfig) -> np.ndarray:
    """[V, K]: zero on days whose labels can be ranked and whose scores cannot: a network is not judged by the few
    days on which it says something."""
    lowest_VK = np.where(scores.mask, scores.label, np.inf).min(axis=1)
    highest_VK = np.where(scores.mask, scores.label, -np.inf).max(axis=1)
    can_be_ranked = (scores.mask.sum(axis=1) >= config.data.min_stocks) & (lowest_VK < highest_VK)
    return np.where(np.isnan(daily_VK) & can_be_ranked, 0.0, daily_VK)


def _weighted(rank_ic_VK: np.ndarray, config: TrialConfig) -> float:
    weights = np.array(config.train.horizon_weights)
    return float(np.nanmean(rank_ic_VK, axis=0) @ weights / weights.sum())


def _refuse_undefined(rank_ic_VK: np.ndarray, scores: Scores, config: TrialConfig) -> None:
    enough_VK = scores.mask.sum(axis=1) >= config.data.min_stocks
    for k, horizon in enumerate(config.data.horizons):
        if np.isfinite(rank_ic_VK[:, k]).any():
            continue
        if not enough_VK[:, k].any():
            raise no_scored_day(
                f"none of the {len(scores.days)} days has the {config.data.min_stocks} labelled stocks at {horizon} "
                f"days that a cross-section needs"
            )
        raise constant_predictions(
            f"the {horizon}-day scores of all {len(scores.days)} scored days are constant across stocks"
        )
