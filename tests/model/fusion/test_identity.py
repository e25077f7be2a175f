"""The graph block's output is the representation."""

from __future__ import annotations

import torch

from model.fusion.identity import IdentityFusion
from tests.model.samples import normal


def test_it_is_the_output_of_the_graph_block() -> None:
    graph = normal(2, 3, 4, seed=1)
    assert torch.equal(IdentityFusion()(normal(2, 3, 4), graph), graph)
