"""Scores of networks on the days of a store: no label is read, no copy of the market is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch

from data.batch import DayBlock, make_block, window_rows
from data.graph import DailyGraphs
from data.store import MarketStore
from storage.bundle import BundleError
from trial.production.networks import Member, Networks


class DayScores(NamedTuple):
    """Of one day: n stocks of its universe, K horizons."""

    day: int  # position in the store
    stocks: np.ndarray  # [n] positions in the store
    score_nK: np.ndarray  # float32; the mean over members, each standardised within the day, where there are several


class Scorer:
    """Networks on a store."""

    def __init__(self, networks: Networks, store: MarketStore) -> None:
        """
        Raises:
            DataError: the store lacks a feature, or no edge can be built.
        """
        self.networks, self.store = networks, store
        self._order = networks.contract.order(store)
        self._sector = torch.from_numpy(networks.contract.sector_codes(store))
        self._graphs = {member.config.data.graph: store.graphs(member.config.data.graph) for member in networks.members}

    @property
    def first_day(self) -> int:
        """The first day that every network has a window of features and a graph for."""
        windows = [self.store.meta.first_known + member.config.data.window - 1 for member in self.networks.members]
        return max(windows + [graphs.first_day for graphs in self._graphs.values() if graphs is not None])

    def score(self, days: range) -> Iterator[DayScores]:
        """Day by day, in calendar order.

        Raises:
            BundleError: a score is not finite.
        """
        width = self.networks.members[0].config.train.block_days
        for start in range(days.start, days.stop, width):
            block = range(start, min(start + width, days.stop))
            parts = [self._scores(member, block) for member in self.networks.members]
            for offset, day in enumerate(block):
                stocks = np.flatnonzero(np.asarray(self.store.eligible[day]))
                yield DayScores(day, stocks, self._joined([part[offset, stocks] for part in parts], day))

    def _scores(self, member: Member, days: range) -> np.ndarray:
        """[B, N, K]."""
        with torch.inference_mode():
            return member.model(*self._block(member, days).inputs).score_BNK.float().cpu().numpy()

    def _block(self, member: Member, days: range) -> DayBlock:
        config = member.config.data
        raw = np.ascontiguousarray(self.store.features[window_rows(config, days)][..., self._order])
        x_TNF = torch.from_numpy(member.scaler.transform(raw, np.empty_like(raw)))
        graphs: DailyGraphs | None = self._graphs[config.graph]
        block = make_block(self.store, graphs, self.store.labels, config, days, x_TNF)
        block = replace(block, sector_BN=self._sector[block.sector_BN])
        return block.to(next(member.model.parameters()).device)

    def _joined(self, parts: list[np.ndarray], day: int) -> np.ndarray:
        for part in parts:
            if not np.isfinite(part).all():
                raise BundleError(
                    f"scores must be finite, but on {self.store.dates[day]} {int((~np.isfinite(part)).sum())} are not."
                )
        return together(parts, self.networks.shares)


def together(parts: Sequence[np.ndarray], shares: Sequence[float]) -> np.ndarray:
    """[n, K] of several members on one day: the mean of theirs, each standardised within the day; one stays as it is.

    Args:
        parts: [n, K] of each member.
        shares: how often each counts.
    """
    if len(parts) == 1:
        return parts[0]
    each = [standardised(part.T).T for part in parts]
    return np.average(each, axis=0, weights=shares).astype(np.float32)


def standardised(score: np.ndarray) -> np.ndarray:
    """Over the last axis, missing ones left out; scores that are all one become 0."""
    with np.errstate(invalid="ignore"):
        known = np.isfinite(score)
        count = np.maximum(known.sum(axis=-1, keepdims=True), 1)
        mean = np.where(known, score, 0).sum(axis=-1, keepdims=True) / count
        away = score - mean
        spread = np.sqrt((np.where(known, away, 0) ** 2).sum(axis=-1, keepdims=True) / count)
        return np.asarray(away / np.where(spread > 0, spread, 1))


def scores_table(scores: DayScores, store: MarketStore, horizons: tuple[int, ...]) -> pa.Table:
    """date, code, score_<h>d per horizon, one row per stock of the universe."""
    columns: dict[str, pa.Array | np.ndarray] = {
        "date": np.full(len(scores.stocks), store.dates[scores.day]),
        "code": store.codes[scores.stocks],
    }
    for k, horizon in enumerate(horizons):
        columns[f"score_{horizon}d"] = scores.score_nK[:, k].astype(np.float32)
    return pa.table(columns)
