"""DayBlock: B consecutive days of the cross-section with the L - 1 days before them, as tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.config import DataConfig
from data.graph import EDGE_ATTRIBUTES
from data.labels import daily_zscore
from data.scaler import RobustScaler
from data.store import MarketStore


@dataclass(frozen=True)
class DayBlock:
    """What one forward pass sees. T = B + L - 1; the window of day b is rows b .. b + L - 1.

    `x_TNF` is a reused buffer: it is valid until the next block of the same loader is made.
    """

    days: range  # B positions in the store
    x_TNF: Tensor  # scaled, clipped, missing -> 0
    observed_TN: Tensor  # bool; missing is not zero
    edge_index_2E: Tensor  # int64 in 0 .. B*N - 1, no edge between days
    edge_attr_E4: Tensor
    return_BNK: Tensor  # forward returns, 0 where unknown
    target_BNK: Tensor  # per-day z-scores of them, 0 where unknown
    label_mask_BNK: Tensor  # bool: observed, the label is known, and enough stocks have one on the day

    def to(self, device: torch.device) -> DayBlock:
        """The block on a device; itself where it is there already."""
        tensors: dict[str, Any] = {
            name: value.to(device, non_blocking=True) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **tensors)


def make_block(
    store: MarketStore, scaler: RobustScaler, config: DataConfig, days: range, buffer: np.ndarray
) -> DayBlock:
    """Builds the block of consecutive `days`; `buffer` holds at least [T, N, F] float32."""
    rows = slice(days.start - config.window + 1, days.stop)
    raw = store.features[rows]
    x = scaler.transform(raw, out=buffer[: len(raw)])
    labels = store.labels[days.start : days.stop]
    observed = store.observed[days.start : days.stop]
    target = daily_zscore(np.where(observed[..., None], labels, np.nan))
    mask = np.isfinite(target)
    mask &= mask.sum(axis=1, keepdims=True) >= config.min_stocks
    edge_index, edge_attr = _edges(store, days, observed)
    return DayBlock(
        days=days,
        x_TNF=torch.from_numpy(x),
        observed_TN=torch.from_numpy(np.array(store.observed[rows])),
        edge_index_2E=torch.from_numpy(edge_index),
        edge_attr_E4=torch.from_numpy(edge_attr),
        return_BNK=torch.from_numpy(np.where(mask, labels, 0).astype(np.float32)),
        target_BNK=torch.from_numpy(np.where(mask, target, 0)),
        label_mask_BNK=torch.from_numpy(mask),
    )


def _edges(store: MarketStore, days: range, observed_BN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges of all days of the block, node n of day b at b*N + n, between stocks that are there on the day."""
    if store.graphs is None:
        return np.empty((2, 0), np.int64), np.empty((0, len(EDGE_ATTRIBUTES)), np.float32)
    indices, attributes = [], []
    for offset, day in enumerate(days):
        index, attr = store.graphs.at(day)
        present = observed_BN[offset, index[0]] & observed_BN[offset, index[1]]
        indices.append(index[:, present].astype(np.int64) + offset * observed_BN.shape[1])
        attributes.append(attr[present])
    return np.concatenate(indices, axis=1), np.concatenate(attributes)
