"""Without a graph block the representation passes and the edges are not looked at."""

from __future__ import annotations

import torch

from model.graph.identity import IdentityGraph
from tests.model.samples import SIZES, edges, normal


def test_the_representation_passes_whatever_the_edges() -> None:
    h = normal(6, SIZES.hidden)
    none = torch.empty(2, 0, dtype=torch.long), torch.empty(0, SIZES.edge_attributes)
    for index, attr in (edges(days=1), none):
        assert torch.equal(IdentityGraph()(h, index, attr), h)
