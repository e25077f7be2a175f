"""The graph block's output is the representation: right where that block is the identity."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from model.protocols import BlockConfig, Sizes


class IdentityFusionConfig(BlockConfig):
    kind: Literal["identity"] = "identity"

    def build(self, sizes: Sizes) -> nn.Module:
        return IdentityFusion()


class IdentityFusion(nn.Module):
    def forward(self, own_BNH: Tensor, graph_BNH: Tensor) -> Tensor:
        return graph_BNH
