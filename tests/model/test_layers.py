"""Layers that more than one block is made of."""

from __future__ import annotations

import torch

from model.layers import GatedResidual, masked_softmax
from tests.model.samples import normal, uniform


def test_a_masked_softmax_is_the_softmax_of_what_is_left() -> None:
    logits, mask = 5 * normal(6, 9), uniform(6, 9, seed=1) < 0.6
    weights = masked_softmax(logits, mask)
    for row, keep, given in zip(logits, mask, weights, strict=True):
        torch.testing.assert_close(given[keep], row[keep].exp() / row[keep].exp().sum())
        assert (given[~keep] == 0).all()


def test_a_row_that_is_masked_whole_is_zero_with_a_finite_gradient() -> None:
    logits = normal(2, 5).requires_grad_()
    mask = torch.tensor([[False] * 5, [True] * 5])
    weights = masked_softmax(logits, mask)
    (weights * normal(2, 5, seed=1)).sum().backward()
    assert (weights[0] == 0).all()
    torch.testing.assert_close(weights[1].sum(), torch.tensor(1.0))
    assert logits.grad is not None
    assert (logits.grad[0] == 0).all()
    assert logits.grad[1].abs().sum() > 0


def test_the_gated_residual_computes_its_equation() -> None:
    block, x, y = GatedResidual(4, dropout=0.5).eval(), normal(3, 4), normal(3, 4, seed=1)
    value, gate = (y @ block.gate.weight.T + block.gate.bias).split(4, dim=-1)
    total = x + value * torch.sigmoid(gate)
    deviation = total.var(dim=-1, keepdim=True, unbiased=False).add(block.norm.eps).sqrt()
    torch.testing.assert_close(block(x, y), (total - total.mean(-1, keepdim=True)) / deviation)


def test_the_gated_residual_drops_the_branch_and_never_the_residual() -> None:
    block, x = GatedResidual(4, dropout=0.999), normal(200, 4)
    block.gate.bias.data.zero_()
    dropped = (block.train()(x, normal(200, 4, seed=1)) - block.norm(x)).abs().amax(dim=-1) < 1e-6
    assert dropped.float().mean() > 0.9
