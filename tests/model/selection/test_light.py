"""Light variable selection: weights of mean one, pointwise per day and stock."""

from __future__ import annotations

import torch

from model.selection.light import LightSelection
from tests.model.samples import normal
from tests.model.selection.test_full import network as grn
from tests.model.selection.test_full import trained

T, N, F = 6, 4, 7


def test_the_weights_are_positive_and_average_one() -> None:
    weights = LightSelection(F, bottleneck=3).weights(5 * normal(T, N, F))
    assert (weights > 0).all()
    torch.testing.assert_close(weights.mean(dim=-1), torch.ones(T, N))


def test_the_output_computes_its_equation() -> None:
    block, x = trained(LightSelection(F, bottleneck=3)), normal(T, N, F)
    for day, stock in [(0, 0), (3, 2), (5, 3)]:
        row = x[day, stock]
        gate = grn(block.joint, 0, row).exp()
        torch.testing.assert_close(block(x)[day, stock], F * gate / gate.sum() * row)


def test_a_cell_is_weighed_by_itself_alone() -> None:
    block, x = LightSelection(F, bottleneck=3), normal(T, N, F)
    other = x.clone()
    other[2, 1] += 1
    changed = (block(x) != block(other)).any(dim=-1)
    assert changed.nonzero().tolist() == [[2, 1]]


def test_a_missing_cell_stays_zero() -> None:
    assert (LightSelection(F, bottleneck=3)(torch.zeros(T, N, F)) == 0).all()


def test_the_weights_read_the_features() -> None:
    weights = LightSelection(F, bottleneck=3).weights(normal(T, N, F))
    assert (weights.flatten(0, 1).std(dim=0) > 1e-3).all()
