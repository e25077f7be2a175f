"""Gated fusion: a gate per channel decides how much of the neighbours' view is added to the own one.

f = h + sigmoid(W [h, g] + b) * g
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from model.protocols import BlockConfig, Penalties, Sizes


class GatedFusionConfig(BlockConfig):
    kind: Literal["gated"] = "gated"

    def build(self, sizes: Sizes) -> nn.Module:
        return GatedFusion(sizes.hidden)


class GatedFusion(nn.Module):
    """([B, N, H], [B, N, H]) -> [B, N, H]."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * hidden, hidden)

    def share(self, own_BNH: Tensor, graph_BNH: Tensor) -> Tensor:
        """How much of the neighbours' view is let in, 0 to 1: [B, N, H]."""
        return torch.sigmoid(self.gate(torch.cat([own_BNH, graph_BNH], dim=-1)))

    def forward(self, own_BNH: Tensor, graph_BNH: Tensor) -> Tensor:
        return own_BNH + self.share(own_BNH, graph_BNH) * graph_BNH

    def penalties(self) -> Penalties:
        return {}
