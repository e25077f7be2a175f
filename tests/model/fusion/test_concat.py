"""Concatenation: its equation, and zeros for a branch that is off."""

from __future__ import annotations

import torch

from model.fusion.concat import ConcatFusion
from model.graph.identity import NoGraphBlockConfig
from tests.model.samples import REFERENCE, inputs, network, normal, variant

B, N, H = 2, 3, 4


def test_the_output_computes_its_equation() -> None:
    fusion, own, graph = ConcatFusion(H), normal(B, N, H), normal(B, N, H, seed=1)
    of_own, of_graph = fusion.joined.weight.split(H, dim=1)
    torch.testing.assert_close(fusion(own, graph), own @ of_own.T + graph @ of_graph.T + fusion.joined.bias)


def test_its_width_is_the_same_without_a_graph_where_the_graphs_half_sees_zeros() -> None:
    concat = {"fusion": {"kind": "concat"}}
    on, off = variant(REFERENCE, **concat), variant(REFERENCE, graph=NoGraphBlockConfig(), **concat)
    nets = [network(config) for config in (on, off)]
    assert [net.fusion.joined.weight.shape for net in nets] == [(8, 16), (8, 16)]
    seen: list[torch.Tensor] = []
    nets[1].fusion.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    nets[1](*inputs())
    assert not seen[0].any()
