"""No neighbours: the representation passes and the edges are not looked at."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from model.protocols import BlockConfig, Sizes


class NoGraphBlockConfig(BlockConfig):
    kind: Literal["identity"] = "identity"

    def build(self, sizes: Sizes) -> nn.Module:
        return IdentityGraph()


class IdentityGraph(nn.Module):
    def forward(self, h_MH: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        return h_MH
