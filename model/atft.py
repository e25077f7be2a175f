"""ATFT-GAT-FAN: select, project, window, norm, augment, temporal, restore, graph, fuse, head.

What is pointwise per (day, stock) runs once per day; windows are taken after it. The projection is linear and no
LayerNorm or bounded map stands before the window, so the scale regime of a window reaches the normaliser.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from model.config import ModelConfig
from model.protocols import Augment, Fusion, GraphEncoder, Head, Selection, SeriesNorm, Sizes, TemporalEncoder


class Prediction(NamedTuple):
    """Scores per day, stock and horizon, and the normaliser's auxiliary loss."""

    score_BNK: Tensor
    auxiliary: Tensor


class ATFT(nn.Module):
    """The network of a `ModelConfig`; every layer exists after construction."""

    selection: Selection
    projection: nn.Linear
    norm: SeriesNorm
    augment: Augment
    temporal: TemporalEncoder
    graph: GraphEncoder
    fusion: Fusion
    head: Head

    def __init__(self, config: ModelConfig, sizes: Sizes, seed: int) -> None:
        super().__init__()
        if config.hidden != sizes.hidden:
            raise ValueError(f"sizes must be those of the config, got hidden {sizes.hidden} and {config.hidden}")
        self.window = sizes.window
        for slot in ("selection", "projection", "norm", "augment", "temporal", "graph", "fusion", "head"):
            with _seeded(seed, slot):
                block = (
                    nn.Linear(sizes.features, sizes.hidden)
                    if slot == "projection"
                    else getattr(config, slot).build(sizes)
                )
            self.add_module(slot, block)

    def forward(self, x_TNF: Tensor, observed_TN: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Prediction:
        """Scores B = T - L + 1 days.

        Args:
            x_TNF: scaled features of the B days and the L - 1 before them.
            observed_TN: bool, the stock has a row on the day.
            edge_index: [2, E], node n of day b is b*N + n.
            edge_attr: [E, 4].
        """
        p_TNH = self.projection(self.selection(x_TNF))
        x_BNLH = p_TNH.unfold(0, self.window, 1).transpose(-1, -2)
        mask_BNL = observed_TN.unfold(0, self.window, 1)
        y_BNLH, stats = self.norm.normalize(x_BNLH)
        h_BNH = self.norm.restore(self.temporal(self.augment(y_BNLH), mask_BNL), stats)
        g_MH = self.graph(h_BNH.flatten(0, 1), edge_index, edge_attr)
        score_BNK = self.head(self.fusion(h_BNH, g_MH.unflatten(0, h_BNH.shape[:2])))
        return Prediction(score_BNK, self.norm.auxiliary_loss(stats, *self._next_day(p_TNH, observed_TN)))

    def _next_day(self, p_TNH: Tensor, observed_TN: Tensor) -> tuple[Tensor, Tensor]:
        """Detached projection of day t + 1 for each of the B days, and where it is known: within the block alone."""
        following = p_TNH[self.window :].detach()
        known = observed_TN[self.window :] & observed_TN[self.window - 1 : -1]
        beyond = torch.zeros_like(p_TNH[:1])
        return torch.cat([following, beyond]), torch.cat([known, torch.zeros_like(observed_TN[:1])])


@contextmanager
def _seeded(seed: int, slot: str) -> Iterator[None]:
    """Initialises from (seed, slot), so that turning one block leaves the start of the others alone."""
    digest = hashlib.sha256(f"{seed}/{slot}".encode()).digest()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(digest[:7], "big"))
        yield
