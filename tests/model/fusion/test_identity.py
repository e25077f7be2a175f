"""Own plus neighbours."""

from __future__ import annotations

import torch

from model.fusion.identity import IdentityFusion
from tests.model.samples import normal


def test_it_is_the_sum_of_both_views() -> None:
    own, graph = normal(2, 3, 4), normal(2, 3, 4, seed=1)
    assert torch.equal(IdentityFusion()(own, graph), own + graph)


def test_a_message_of_zeros_leaves_every_bit_of_the_own_view() -> None:
    own = normal(2, 3, 4)
    assert torch.equal(IdentityFusion()(own, torch.zeros(2, 3, 4)), own)
