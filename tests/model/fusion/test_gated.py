"""Gated fusion: f = h + sigmoid(W [h, g] + b) * g."""

from __future__ import annotations

import torch

from model.fusion.gated import GatedFusion
from tests.model.samples import normal

B, N, H = 2, 3, 4


def test_the_output_computes_its_equation() -> None:
    block, own, graph = GatedFusion(H), normal(B, N, H), normal(B, N, H, seed=1)
    of_own, of_graph = block.gate.weight.split(H, dim=1)
    for day, stock in [(0, 0), (1, 2)]:
        h, g = own[day, stock], graph[day, stock]
        gate = 1 / (1 + (-(of_own @ h + of_graph @ g + block.gate.bias)).exp())
        torch.testing.assert_close(block(own, graph)[day, stock], h + gate * g)


def test_a_closed_gate_leaves_the_own_view_and_an_open_one_adds_the_neighbours() -> None:
    block, own, graph = GatedFusion(H), normal(B, N, H), normal(B, N, H, seed=1)
    block.gate.weight.data.zero_()
    for bias, expected in ((-50.0, own), (50.0, own + graph)):
        block.gate.bias.data.fill_(bias)
        torch.testing.assert_close(block(own, graph), expected)


def test_without_neighbours_the_own_view_stays() -> None:
    own = normal(B, N, H)
    assert torch.equal(GatedFusion(H)(own, torch.zeros(B, N, H)), own)
