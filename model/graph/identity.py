"""No neighbours: the message is zero and the edges are not looked at."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from model.protocols import BlockConfig, Penalties, Sizes


class NoGraphBlockConfig(BlockConfig):
    kind: Literal["identity"] = "identity"

    def build(self, sizes: Sizes) -> nn.Module:
        return IdentityGraph()


class IdentityGraph(nn.Module):
    """([B, N, H], ..) -> ([B, N, H] of zeros, no penalties)."""

    def forward(
        self, h_BNH: Tensor, eligible_BN: Tensor, edge_index: Tensor, edge_attr: Tensor
    ) -> tuple[Tensor, Penalties]:
        return torch.zeros_like(h_BNH), {}
