"""Concatenation: one linear map of both views. Its width is fixed; a branch that is off stands there as zeros.

f = W [h, g] + b
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from model.protocols import BlockConfig, Penalties, Sizes


class ConcatFusionConfig(BlockConfig):
    kind: Literal["concat"] = "concat"

    def build(self, sizes: Sizes) -> nn.Module:
        return ConcatFusion(sizes.hidden)


class ConcatFusion(nn.Module):
    """([B, N, H], [B, N, H]) -> [B, N, H]."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.joined = nn.Linear(2 * hidden, hidden)

    def forward(self, own_BNH: Tensor, graph_BNH: Tensor) -> Tensor:
        return self.joined(torch.cat([own_BNH, graph_BNH], dim=-1))

    def penalties(self) -> Penalties:
        return {}

    def share(self, own_BNH: Tensor, graph_BNH: Tensor) -> None:
        return None
