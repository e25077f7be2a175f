"""Placebo: a graph block whose every stock has itself for its only neighbour.

m_1 = W_1 h + b_1,    m_l = W_l (h + elu(m_1) + .. + elu(m_(l-1))) + b_l: what attention over one neighbour comes to.

It has the depth and the fusion of a graph block and hears nobody, so a gain over it is due to neighbours, not layers.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from model.protocols import BlockConfig, Penalties, Sizes


class SelfOnlyConfig(BlockConfig):
    kind: Literal["self"] = "self"
    layers: int = Field(1, ge=1, le=3, description="hops of the block that it stands for")
    dropout: float = Field(0.2, ge=0, lt=1)

    def build(self, sizes: Sizes) -> nn.Module:
        return SelfOnly(sizes.hidden, self.layers, self.dropout)


class SelfOnly(nn.Module):
    """([B, N, H], ..) -> ([B, N, H], no penalties), whatever the edges."""

    def __init__(self, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.values = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, h_BNH: Tensor, eligible_BN: Tensor, edge_index: Tensor, edge_attr: Tensor
    ) -> tuple[Tensor, Penalties]:
        message = self.dropout(self.values[0](h_BNH))
        for value in list(self.values)[1:]:
            h_BNH = h_BNH + functional.elu(message)
            message = self.dropout(value(h_BNH))
        return message, {}
