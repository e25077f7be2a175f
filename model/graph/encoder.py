"""The frame of every graph block: edges from their source, edge dropout, one to three hops, penalties on attention.

m_1 = op_1(h),    m_l = op_l(h + elu(m_1) + .. + elu(m_(l-1))),    message = m_last
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn
from torch.nn import functional

from model.graph.edges import EdgesConfig, GivenEdgesConfig
from model.graph.generated import remove_generated_files
from model.graph.penalties import concentration, entropy
from model.protocols import BlockConfig, Penalties, Sizes

Penalty = Literal["edge_weight_penalty", "attention_entropy_penalty"]


class Heard(NamedTuple):
    """What an operator makes of the neighbours."""

    message_MH: Tensor
    attention_EA: Tensor | None  # weight per edge and head, before dropout; None where it has no attention


class GraphBlockConfig(BlockConfig, ABC):
    """Settings of every block that hears neighbours."""

    layers: int = Field(1, ge=1, le=3, description="hops")
    dropout: float = Field(0.2, ge=0, lt=1, description="of attention weights, or of the message without attention")
    edge_dropout: float = Field(0.1, ge=0, lt=1, description="share of edges left out of a training pass")
    edges: EdgesConfig = GivenEdgesConfig()

    def build(self, sizes: Sizes) -> nn.Module:
        operators = nn.ModuleList(self.operator(sizes) for _ in range(self.layers))
        remove_generated_files()
        return GraphBlock(self.edges.build(), operators, self.edge_dropout, self.penalties())

    @abstractmethod
    def operator(self, sizes: Sizes) -> nn.Module:
        """One hop: ([M, H], [2, E], [E, A]) -> Heard."""

    def penalties(self) -> dict[str, float]:
        """Weights of the penalties on attention, where there is some."""
        return {}

    def edge_attributes(self, sizes: Sizes) -> int:
        return self.edges.num_attributes(sizes.edge_attributes)


class AttentionGraphConfig(GraphBlockConfig):
    """Settings of every block that weighs its neighbours by attention."""

    heads: int = Field(4, ge=1, description="attention heads; must divide the hidden size")
    temperature: float = Field(1.0, gt=0, description="divides the attention logits: above 1 softer, below 1 sharper")
    edge_weight_penalty: float = Field(0.01, ge=0, description="on attention that concentrates on few neighbours")
    attention_entropy_penalty: float = Field(0.001, ge=0, description="on attention that stays even")
    waived_penalties: tuple[Penalty, ...] = Field((), description="penalties that are zero on purpose")

    @field_validator("waived_penalties")
    @classmethod
    def _in_one_order(cls, names: tuple[Penalty, ...]) -> tuple[Penalty, ...]:
        return tuple(sorted(set(names)))

    @model_validator(mode="after")
    def _penalties_are_on_or_waived(self) -> AttentionGraphConfig:
        names: tuple[Penalty, ...] = ("edge_weight_penalty", "attention_entropy_penalty")
        for name in names:
            value, waived = getattr(self, name), name in self.waived_penalties
            if value == 0 and not waived:
                raise ValueError(f"{name} must be above 0, got 0. To do without it, name it in waived_penalties.")
            if value > 0 and waived:
                raise ValueError(f"{name} is waived and must be 0, got {value}. Set it to 0, or do not waive it.")
        return self

    def width(self, sizes: Sizes) -> int:
        """Channels per head.

        Raises:
            ValueError: the heads do not divide the hidden size.
        """
        if sizes.hidden % self.heads:
            raise ValueError(f"the graph's heads must divide the hidden size {sizes.hidden}, got {self.heads}")
        return sizes.hidden // self.heads

    def penalties(self) -> dict[str, float]:
        return {"edge_weight": self.edge_weight_penalty, "attention_entropy": self.attention_entropy_penalty}


class GraphBlock(nn.Module):
    """([B, N, H], [B, N], [2, E], [E, A]) -> ([B, N, H], penalties)."""

    def __init__(
        self, edges: nn.Module, operators: nn.ModuleList, edge_dropout: float, penalties: dict[str, float]
    ) -> None:
        super().__init__()
        self.edges, self.operators = edges, operators
        self.edge_dropout, self.weights = edge_dropout, penalties

    def forward(
        self, h_BNH: Tensor, eligible_BN: Tensor, edge_index: Tensor, edge_attr: Tensor
    ) -> tuple[Tensor, Penalties]:
        index, attr = self._kept(*self.edges(h_BNH, eligible_BN, edge_index, edge_attr))
        heard = self.hear(h_BNH.flatten(0, 1), index, attr)
        attention = [each.attention_EA for each in heard if each.attention_EA is not None] if self.training else []
        return heard[-1].message_MH.unflatten(0, h_BNH.shape[:2]), self._penalties(
            attention, index[1], *eligible_BN.shape
        )

    def hear(self, h_MH: Tensor, edge_index: Tensor, edge_attr: Tensor) -> list[Heard]:
        """What each hop makes of the neighbours over the edges as they are."""
        heard: list[Heard] = []
        for operator in self.operators:
            if heard:
                h_MH = h_MH + functional.elu(heard[-1].message_MH)
            heard.append(operator(h_MH, edge_index, edge_attr))
        return heard

    def _kept(self, edge_index: Tensor, edge_attr: Tensor) -> tuple[Tensor, Tensor]:
        if not (self.training and self.edge_dropout):
            return edge_index, edge_attr
        kept = torch.rand(edge_index.shape[1], device=edge_index.device) >= self.edge_dropout
        return edge_index[:, kept], edge_attr[kept]

    def _penalties(self, attention: list[Tensor], target_E: Tensor, days: int, stocks: int) -> Penalties:
        """Each the mean over hops, days, and a day's heads and stocks with two neighbours or more, times its weight."""
        measures = {"edge_weight": concentration, "attention_entropy": entropy}
        return {
            name: weight * torch.stack([measures[name](each, target_E, days, stocks) for each in attention]).mean()
            for name, weight in self.weights.items()
            if weight and attention
        }

    def extra_repr(self) -> str:
        return f"edge_dropout={self.edge_dropout}, penalties={self.weights}"
