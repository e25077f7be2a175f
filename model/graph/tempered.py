"""What PyG's attention operators share here: a temperature on the logits, and weights that are told whole."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional
from torch_geometric.nn import MessagePassing

from model.graph.encoder import AttentionGraphConfig, Heard
from model.protocols import Sizes


class Tempered(MessagePassing):
    """To be mixed in before an operator: ([M, H], [2, E], [E, A]) -> Heard."""

    def __init__(self, sizes: Sizes, config: AttentionGraphConfig, **settings: Any) -> None:
        super().__init__(
            sizes.hidden,
            config.width(sizes),
            heads=config.heads,
            dropout=config.dropout,
            edge_dim=config.edge_attributes(sizes),
            **settings,
        )
        self.temperature = config.temperature

    def __repr__(self) -> str:
        return f"{super().__repr__().removesuffix(')')}, temperature={self.temperature})"

    def forward(self, h_MH: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Heard:
        message, (_, attention) = super().forward(h_MH, edge_index, edge_attr, return_attention_weights=True)
        return Heard(message, attention)


class TemperedSum(Tempered):
    """For operators whose message is weight times value."""

    dropout: float

    def message(self, x_j: Tensor, alpha: Tensor) -> Tensor:
        """Dropout stands here, so that the weights that are returned are whole."""
        return x_j * functional.dropout(alpha, p=self.dropout, training=self.training).unsqueeze(-1)
