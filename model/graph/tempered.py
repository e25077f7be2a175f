"""What PyG's attention operators share here: a temperature on the logits, and weights that are told whole."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch_geometric.nn import MessagePassing

from model.graph.encoder import AttentionGraphConfig, Heard
from model.protocols import Sizes

RANDOM_SHARE = 0.3  # of a random attention vector that is left beside the even one


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


def listen(edge_WA: Tensor, attention_1HC: Tensor) -> None:
    """Lets every head begin by following an edge attribute: a unit of it is about one logit. In place.

    With all-random weights attention is even over neighbours at first, and their even mean, being nearly the same for
    every stock, ranks nothing: no gradient says whom to hear, and some hundred steps pass before one does. Heads take
    attributes in turn; fewer heads than attributes share them out.

    Args:
        edge_WA: weight that maps A attributes to the H * C channels of all heads.
        attention_1HC: what weighs a head's channels into its logit.
    """
    _, heads, channels = attention_1HC.shape
    head, attribute = torch.arange(heads)[:, None], torch.arange(edge_WA.shape[1])
    follows_HA = (attribute % heads == head) | (head % max(1, len(attribute)) == attribute)
    with torch.no_grad():
        edge_WA += follows_HA.to(edge_WA.dtype).repeat_interleave(channels, dim=0)
        attention_1HC.mul_(RANDOM_SHARE).add_(1 / channels)


class TemperedSum(Tempered):
    """For operators whose message is weight times value."""

    dropout: float

    def message(self, x_j: Tensor, alpha: Tensor) -> Tensor:
        """Dropout stands here, so that the weights that are returned are whole."""
        return x_j * functional.dropout(alpha, p=self.dropout, training=self.training).unsqueeze(-1)
