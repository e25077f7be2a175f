"""Own plus neighbours, nothing learned: right where there is no graph block, whose message then is zero."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from model.protocols import BlockConfig, Penalties, Sizes


class IdentityFusionConfig(BlockConfig):
    kind: Literal["identity"] = "identity"

    def build(self, sizes: Sizes) -> nn.Module:
        return IdentityFusion()


class IdentityFusion(nn.Module):
    """([B, N, H], [B, N, H]) -> [B, N, H]."""

    def forward(self, own_BNH: Tensor, graph_BNH: Tensor) -> Tensor:
        return own_BNH + graph_BNH

    def penalties(self) -> Penalties:
        return {}

    def share(self, own_BNH: Tensor, graph_BNH: Tensor) -> None:
        return None
