"""Where a graph block's edges come from: those that are given, the nearest in the hidden state, or both.

Given edges are the day's of `data.graph` (correlation, sector, shuffled), with their attributes. Neighbours in the
hidden state carry 0 in those columns, and their similarity in one more, through which the choice is learned.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from model.graph.knn import nearest
from model.protocols import BlockConfig

NO_EDGES = (
    "a graph block must get edges, but this block of days has none. Use graph kind 'identity', or a data.graph that "
    "has edges on every day."
)


class GivenEdgesConfig(BlockConfig):
    kind: Literal["given"] = "given"

    def build(self) -> nn.Module:
        return GivenEdges()

    def num_attributes(self, given: int) -> int:
        return given


class FoundEdgesConfig(BlockConfig):
    """How neighbours are found in the hidden state."""

    k: int = Field(15, ge=1, description="neighbours per stock, by cosine of the hidden states")
    refresh_days: int = Field(
        1, ge=1, description="in training, neighbours are looked for on every n-th day of a block and kept between"
    )

    def num_attributes(self, given: int) -> int:
        return given + 1


class KNNEdgesConfig(FoundEdgesConfig):
    kind: Literal["knn"] = "knn"

    def build(self) -> nn.Module:
        return KNNEdges(self)


class BothEdgesConfig(FoundEdgesConfig):
    kind: Literal["both"] = "both"

    def build(self) -> nn.Module:
        return BothEdges(self)


EdgesConfig = Annotated[GivenEdgesConfig | KNNEdgesConfig | BothEdgesConfig, Field(discriminator="kind")]


class GivenEdges(nn.Module):
    """The edges that came with the day."""

    def forward(
        self, h_BNH: Tensor, eligible_BN: Tensor, edge_index: Tensor, edge_attr: Tensor
    ) -> tuple[Tensor, Tensor]:
        """([2, E], [E, A]) as they came.

        Raises:
            ValueError: there are none.
        """
        if edge_index.shape[1] == 0:
            raise ValueError(NO_EDGES)
        return edge_index, edge_attr


class KNNEdges(nn.Module):
    """From the `k` nearest stocks of the day's universe to each stock of it."""

    def __init__(self, config: FoundEdgesConfig) -> None:
        super().__init__()
        self.k, self.refresh_days = config.k, config.refresh_days

    def forward(
        self, h_BNH: Tensor, eligible_BN: Tensor, edge_index: Tensor, edge_attr: Tensor
    ) -> tuple[Tensor, Tensor]:
        """([2, E], [E, A + 1]); the similarity is differentiable, the choice of neighbours is not."""
        index = self.neighbours(h_BNH, eligible_BN)
        blank = edge_attr.new_zeros(index.shape[1], edge_attr.shape[1])
        return index, _with_similarity(h_BNH, index, blank)

    def neighbours(self, h_BNH: Tensor, eligible_BN: Tensor) -> Tensor:
        days = self.refresh_days if self.training else 1
        return nearest(h_BNH.detach(), eligible_BN, self.k, days)


class BothEdges(KNNEdges):
    """Given edges, and those of the hidden state that are not among them."""

    def forward(
        self, h_BNH: Tensor, eligible_BN: Tensor, edge_index: Tensor, edge_attr: Tensor
    ) -> tuple[Tensor, Tensor]:
        """([2, E], [E, A + 1]).

        Raises:
            ValueError: no edges were given.
        """
        if edge_index.shape[1] == 0:
            raise ValueError(NO_EDGES)
        found = self.neighbours(h_BNH, eligible_BN)
        nodes = h_BNH.shape[0] * h_BNH.shape[1]
        new = found[:, ~torch.isin(found[0] * nodes + found[1], edge_index[0] * nodes + edge_index[1])]
        index = torch.cat([edge_index, new], dim=1)
        attr = functional.pad(edge_attr, (0, 0, 0, new.shape[1]))
        return index, _with_similarity(h_BNH, index, attr)


def _with_similarity(h_BNH: Tensor, index: Tensor, attr: Tensor) -> Tensor:
    unit_MH = functional.normalize(h_BNH.flatten(0, 1).float(), dim=-1)
    similarity_E = (unit_MH[index[0]] * unit_MH[index[1]]).sum(dim=-1)
    return torch.cat([attr, similarity_E.unsqueeze(-1).to(attr.dtype)], dim=-1)
