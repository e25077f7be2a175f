"""DayBlock: B consecutive days of the cross-section with the L - 1 days before them, as tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.config import DataConfig
from data.graph import EDGE_ATTRIBUTES, DailyGraphs, edge_scale
from data.store import MarketStore


@dataclass(frozen=True, eq=False)
class DayBlock:
    """What one forward pass sees. T = B + L - 1; the window of day b is rows b .. b + L - 1.

    `x_TNF` is a reused buffer: it is valid until the next block of the same loader is made.
    """

    days: range  # B positions in the store
    x_TNF: Tensor  # scaled, clipped, missing -> 0
    observed_TN: Tensor  # bool: the stock has a row; missing is not zero
    eligible_BN: Tensor  # bool: the stock is in the day's universe
    sector_BN: Tensor  # int64: the store's sector codes, 0 where unknown
    edge_index_2E: Tensor  # int64 in 0 .. B*N - 1, no edge between days
    edge_attr_E4: Tensor  # in units of their spread (`data/graph.py`)
    return_BNK: Tensor  # forward returns, 0 where unknown
    target_BNK: Tensor  # what is learned of them (`data/targets.py`), 0 where unknown
    label_mask_BNK: Tensor  # bool: in the universe, the label is known, and enough stocks have one on the day

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What a network reads, in the order of its arguments."""
        return (
            self.x_TNF,
            self.observed_TN,
            self.eligible_BN,
            self.sector_BN,
            self.edge_index_2E,
            self.edge_attr_E4,
        )

    @property
    def windows_BLNF(self) -> Tensor:
        """[B, L, N, F] view of x: the window of each day, without a copy. Of a whole block, not of a piece."""
        length = len(self.x_TNF) - len(self.days) + 1
        return self.x_TNF.unfold(0, length, 1).movedim(-1, 1)

    def pieces(self, days: int) -> list[DayBlock]:
        """The block in pieces of at most so many days, views of it; itself where it is that small.

        A piece that is not the last has one more row of `x_TNF`, the day after its own, so that what a network learns
        of the day to come does not depend on how a block is cut.
        """
        if days >= len(self.days):
            return [self]
        return [self._piece(first, min(first + days, len(self.days))) for first in range(0, len(self.days), days)]

    def _piece(self, first: int, stop: int) -> DayBlock:
        stocks = self.eligible_BN.shape[1]
        rows = slice(first, stop + len(self.x_TNF) - len(self.days) + 1)
        target_E = self.edge_index_2E[1]
        own_E = (target_E >= first * stocks) & (target_E < stop * stocks)
        own = slice(first, stop)
        return DayBlock(
            days=self.days[first:stop],
            x_TNF=self.x_TNF[rows],
            observed_TN=self.observed_TN[rows],
            eligible_BN=self.eligible_BN[own],
            sector_BN=self.sector_BN[own],
            edge_index_2E=self.edge_index_2E[:, own_E] - first * stocks,
            edge_attr_E4=self.edge_attr_E4[own_E],
            return_BNK=self.return_BNK[own],
            target_BNK=self.target_BNK[own],
            label_mask_BNK=self.label_mask_BNK[own],
        )

    def to(self, device: torch.device) -> DayBlock:
        """The block on a device; itself where it is there already."""
        tensors: dict[str, Any] = {
            name: value.to(device, non_blocking=True) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **tensors)


def window_rows(config: DataConfig, days: range) -> slice:
    """The rows of the store that a block of consecutive `days` reads: T of them."""
    return slice(days.start - config.window + 1, days.stop)


def make_block(
    store: MarketStore,
    graphs: DailyGraphs | None,
    targets: np.ndarray,
    config: DataConfig,
    days: range,
    x_TNF: Tensor,
) -> DayBlock:
    """The block of consecutive `days` around its scaled features, which the loader has made.

    Args:
        store: the market.
        graphs: its neighbour graphs, or None for no edges.
        targets: [D, N, K], those of the store for the label settings in force.
        config: window, least number of stocks, and what the graph's attributes are counted over.
        days: positions in the store.
        x_TNF: the scaled rows that `window_rows` names.
    """
    now = slice(days.start, days.stop)
    labels, eligible, target = (np.asarray(array[now]) for array in (store.labels, store.eligible, targets))
    mask = np.isfinite(target)
    mask &= np.count_nonzero(mask, axis=1)[:, None] >= config.min_stocks
    edge_index, edge_attr = _edges(graphs, days, eligible, edge_scale(config.graph))
    return DayBlock(
        days=days,
        x_TNF=x_TNF,
        observed_TN=torch.from_numpy(np.array(store.present[window_rows(config, days)])),
        eligible_BN=torch.from_numpy(np.array(eligible)),
        sector_BN=torch.from_numpy(np.asarray(store.sector[now], np.int64)),
        edge_index_2E=torch.from_numpy(edge_index),
        edge_attr_E4=torch.from_numpy(edge_attr),
        return_BNK=torch.from_numpy(np.where(mask, labels, np.float32(0))),
        target_BNK=torch.from_numpy(np.where(mask, target, np.float32(0))),
        label_mask_BNK=torch.from_numpy(mask),
    )


def _edges(
    graphs: DailyGraphs | None, days: range, eligible_BN: np.ndarray, scale_4: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Edges of all days of the block, node n of day b at b*N + n, between stocks of the day's universe."""
    if graphs is None:
        return np.empty((2, 0), np.int64), np.empty((0, len(EDGE_ATTRIBUTES)), np.float32)
    indices, attributes = [], []
    for offset, day in enumerate(days):
        index, attr = graphs.at(day)
        present = eligible_BN[offset, index[0]] & eligible_BN[offset, index[1]]
        indices.append(index[:, present].astype(np.int64) + offset * eligible_BN.shape[1])
        attributes.append(attr[present])
    return np.concatenate(indices, axis=1), np.concatenate(attributes) * scale_4
