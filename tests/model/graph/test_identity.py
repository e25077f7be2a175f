"""Without a graph block the message is zero and the edges are not looked at."""

from __future__ import annotations

import torch

from model.graph.identity import IdentityGraph
from tests.model.samples import SIZES, edges, normal


def test_the_message_is_zero_whatever_the_edges() -> None:
    h, eligible = normal(1, 6, SIZES.hidden), torch.ones(1, 6, dtype=torch.bool)
    none = torch.empty(2, 0, dtype=torch.long), torch.empty(0, SIZES.edge_attributes)
    for index, attr in (edges(days=1), none):
        message, penalties = IdentityGraph()(h, eligible, index, attr)
        assert torch.equal(message, torch.zeros_like(h))
        assert penalties == {}
