"""Everything that is measured of a finished training's scores, per horizon: whole, and by group on request.

RankIC (also neutral to sector and beta), IC, their information ratios, top minus bottom, hit rate, spread, coverage of
quantiles, and the Sharpe ratio of what tranches would have earned. What is not defined is absent, never NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from data.store import MarketStore
from model.metrics import (
    FINAL_METRICS,
    METRICS,
    coverage,
    information_ratio,
    neutral_rank_ic,
)
from model.portfolio import tranches
from search_spaces.config import TrialConfig
from trial.evaluate import Scores

COST_BPS = 10.0  # one way, of what is traded
BETA_DAYS = 250  # trailing days that betas are of
LEAST_BETA_DAYS = 60
GROUPS = ("sector", "section", "liquidity")
LIQUIDITY_GROUPS = 3

Card = dict[str, float]
"""'rank_ic/5' -> value; 'rank_ic' alone is weighted over horizons."""


@dataclass(frozen=True)
class Group:
    """Some stocks of every day."""

    name: str  # "sector: Energy"
    member_VN: np.ndarray  # bool


def scorecard(scores: Scores, store: MarketStore, config: TrialConfig) -> Card:
    """All metrics of all stocks."""
    card = _cross_sectional(scores, config)
    card |= _neutral(scores, store, config)
    card |= _earned(scores, store, config)
    if scores.level.shape[-1] > 1:
        card |= _coverage(scores, config)
    return {name: value for name, value in card.items() if math.isfinite(value)}


def by_group(scores: Scores, store: MarketStore, config: TrialConfig, kind: str) -> dict[str, Card]:
    """The cross-sectional metrics within each group of a kind; none of one too small for a cross-section."""
    cards = {}
    for group in _groups(scores, store, kind):
        within = scores._replace(mask=scores.mask & group.member_VN[:, :, None])
        card = {k: v for k, v in _cross_sectional(within, config).items() if math.isfinite(v)}
        cards[group.name] = card if "rank_ic" in card else {}
    return cards


def refuse_groups(kinds: Iterable[str], store: MarketStore) -> None:
    """Raises DataError, before anything is trained, where the panel does not say what a kind of group is made of."""
    for kind in kinds:
        if kind == "liquidity":
            store.turnover(np.array([0]))
        else:
            store.label_codes(kind)


def _cross_sectional(scores: Scores, config: TrialConfig) -> Card:
    card: Card = {}
    for name, metric in (METRICS | FINAL_METRICS).items():
        daily_VK = metric(scores.score, scores.label, scores.mask, config.data.min_stocks)
        card |= _per_horizon(name, _mean(daily_VK), config)
        if name in ("rank_ic", "ic"):
            ratios = np.array([information_ratio(daily_VK[:, k]) for k in range(daily_VK.shape[1])])
            card |= _per_horizon(f"{name}ir", ratios, config)
    return card


def _neutral(scores: Scores, store: MarketStore, config: TrialConfig) -> Card:
    sector, beta = store.sector[scores.days], betas(store, scores.days)
    daily = neutral_rank_ic(scores.score, scores.label, scores.mask, config.data.min_stocks, sector, beta)
    return _per_horizon("neutral_rank_ic", _mean(daily), config)


def _earned(scores: Scores, store: MarketStore, config: TrialConfig) -> Card:
    """Of long-short tranches; the scored days are consecutive."""
    returns = np.expm1(np.asarray(store.returns[scores.days[0] :], np.float64))
    tradable = np.asarray(scores.mask.any(axis=2))
    card: Card = {}
    sharpes = []
    for k, horizon in enumerate(config.data.horizons):
        earned = tranches(scores.score[:, :, k], tradable, returns, horizon, config.data.delay, COST_BPS)
        sharpes.append(earned.sharpe)
        card[f"turnover/{horizon}"] = earned.turnover
    return card | _per_horizon("sharpe", np.array(sharpes), config)


def _coverage(scores: Scores, config: TrialConfig) -> Card:
    levels = config.build_loss().levels
    shares_KQ = coverage(scores.level, scores.target, scores.mask)
    return {
        f"coverage_{level:g}/{horizon}": float(shares_KQ[k, q])
        for k, horizon in enumerate(config.data.horizons)
        for q, level in enumerate(levels)
    }


def betas(store: MarketStore, days: np.ndarray) -> np.ndarray:
    """[V, N] slope of a stock's daily returns on the mean stock's, over the trailing year up to each day; NaN where
    fewer than 60 days are known.
    """
    out = np.full((len(days), store.returns.shape[1]), np.nan)
    for row, day in enumerate(days):
        window = np.asarray(store.returns[max(0, day - BETA_DAYS + 1) : day + 1], np.float64)
        known = np.isfinite(window)
        market = np.nan_to_num(window).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        weight = known * market[:, None]
        count = known.sum(axis=0)
        mean_market, mean_own = (total.sum(axis=0) / np.maximum(count, 1) for total in (weight, np.nan_to_num(window)))
        centred = np.where(known, market[:, None] - mean_market, 0.0)
        variance = (centred**2).sum(axis=0)
        enough = (count >= LEAST_BETA_DAYS) & (variance > 0)
        slope = (centred * (np.nan_to_num(window) - mean_own)).sum(axis=0)
        out[row, enough] = slope[enough] / variance[enough]
    return out


def _groups(scores: Scores, store: MarketStore, kind: str) -> Iterator[Group]:
    if kind == "liquidity":
        yield from _by_liquidity(scores, store)
        return
    codes_VN = store.label_codes(kind)[scores.days]
    for code, name in enumerate(store.meta.vocabularies.get(kind, ()), start=1):
        yield Group(f"{kind}: {name}", codes_VN == code)


def _by_liquidity(scores: Scores, store: MarketStore) -> Iterator[Group]:
    """Thirds of each day's labelled stocks by the trailing median of traded value."""
    turnover_VN = store.turnover(scores.days)
    known = np.isfinite(turnover_VN) & scores.mask.any(axis=2)
    rank_VN = np.where(known, turnover_VN, np.inf).argsort(axis=1).argsort(axis=1)
    share_VN = np.where(known, rank_VN / np.maximum(known.sum(axis=1, keepdims=True), 1), -1.0)
    for third, name in enumerate(("low", "middle", "high")):
        lower, upper = third / LIQUIDITY_GROUPS, (third + 1) / LIQUIDITY_GROUPS
        yield Group(f"liquidity: {name}", (share_VN >= lower) & (share_VN < upper))


def _per_horizon(name: str, values_K: np.ndarray, config: TrialConfig) -> Card:
    """One entry per horizon, and the weighted mean under the metric's own name."""
    weights = np.array(config.train.horizon_weights)
    card = {f"{name}/{horizon}": float(values_K[k]) for k, horizon in enumerate(config.data.horizons)}
    return card | {name: float(values_K @ weights / weights.sum())}


def _mean(daily_VK: np.ndarray) -> np.ndarray:
    """Over the days on which a metric is defined; NaN where it is on none."""
    known = np.isfinite(daily_VK)
    return np.where(known.any(axis=0), np.nansum(daily_VK, axis=0) / np.maximum(known.sum(axis=0), 1), np.nan)
