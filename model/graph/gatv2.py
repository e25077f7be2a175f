"""GATv2 (Brody, Alon & Yahav 2022) with a temperature on the attention logits and directed edge attributes.

e_ij = a^T LeakyReLU(W_l h_j + W_r h_i + W_e z_ij) / temperature,    g_i = sum_j softmax_j(e_ij) W_l h_j
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import GATv2Conv
from torch_geometric.utils import softmax

from model.protocols import BlockConfig, Sizes


class GATv2Config(BlockConfig):
    kind: Literal["gatv2"] = "gatv2"
    heads: int = Field(4, ge=1, description="attention heads; must divide the hidden size")
    temperature: float = Field(1.0, gt=0, description="divides the attention logits: above 1 softer, below 1 sharper")
    dropout: float = Field(0.2, ge=0, lt=1, description="dropout of attention weights")
    edge_dropout: float = Field(0.1, ge=0, lt=1, description="share of edges left out of a training pass")

    def build(self, sizes: Sizes) -> nn.Module:
        return GATv2(sizes, self)


class TemperedGATv2Conv(GATv2Conv):
    """PyG's operator with its logits divided by `temperature` before the softmax."""

    temperature: float = 1.0

    def edge_update(
        self,
        x_j: Tensor,
        x_i: Tensor,
        edge_attr: Tensor,
        index: Tensor,
        ptr: Tensor | None,
        dim_size: int | None,
    ) -> Tensor:
        """Attention weight per edge and head: [E, heads]."""
        pair = x_i + x_j + self.lin_edge(edge_attr).view(-1, self.heads, self.out_channels)
        logits = (functional.leaky_relu(pair, self.negative_slope) * self.att).sum(dim=-1)
        weights = softmax(logits / self.temperature, index, ptr, dim_size)
        return functional.dropout(weights, p=self.dropout, training=self.training)


class GATv2(nn.Module):
    """([M, H], [2, E], [E, 4]) -> [M, H]; a stock without edges gets the bias alone."""

    def __init__(self, sizes: Sizes, config: GATv2Config) -> None:
        super().__init__()
        if sizes.hidden % config.heads:
            raise ValueError(f"GATv2's heads must divide the hidden size {sizes.hidden}, got {config.heads}")
        self.edge_dropout = config.edge_dropout
        self.conv = TemperedGATv2Conv(
            sizes.hidden,
            sizes.hidden // config.heads,
            heads=config.heads,
            dropout=config.dropout,
            edge_dim=sizes.edge_attributes,
            add_self_loops=False,
        )
        self.conv.temperature = config.temperature

    def forward(self, h_MH: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        if edge_index.shape[1] == 0:
            raise ValueError(
                "GATv2 must get edges, but this block of days has none. Use graph kind 'identity', or a data.graph "
                "that has edges on every day."
            )
        if self.training and self.edge_dropout:
            kept = torch.rand(edge_index.shape[1], device=h_MH.device) >= self.edge_dropout
            edge_index, edge_attr = edge_index[:, kept], edge_attr[kept]
        return self.conv(h_MH, edge_index, edge_attr)
