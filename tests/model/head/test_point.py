"""The point head: its equation and its start near zero."""

from __future__ import annotations

import pytest
import torch

from model.head.point import SMALL_DEVIATION, PointHeadConfig
from model.protocols import Sizes
from tests.model.samples import SIZES, normal

LARGE = Sizes(features=1, hidden=256, window=10, edge_attributes=4, horizons=8)


def test_the_output_computes_its_equation() -> None:
    head, h = PointHeadConfig().build(SIZES).eval(), normal(2, 3, SIZES.hidden)
    inner = h @ head.body[0].weight.T + head.body[0].bias
    gelu = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
    torch.testing.assert_close(head(h), gelu @ head.out.weight.T + head.out.bias)


def test_a_small_start_has_its_deviation_and_no_bias() -> None:
    head = PointHeadConfig().build(LARGE)
    assert head.out.weight.std().item() == pytest.approx(SMALL_DEVIATION, rel=0.1)
    assert abs(head.out.weight.mean().item()) < SMALL_DEVIATION / 10
    assert (head.out.bias == 0).all()


def test_a_small_start_predicts_near_zero_and_the_other_does_not() -> None:
    h = normal(50, 20, LARGE.hidden)
    small, usual = (PointHeadConfig(small_init=flag).build(LARGE).eval()(h).std() for flag in (True, False))
    assert small < 0.1
    assert usual > 2 * small


def test_a_small_start_is_that_of_the_last_layer_alone() -> None:
    torch.manual_seed(1)
    small = PointHeadConfig(small_init=True).build(SIZES)
    torch.manual_seed(1)
    usual = PointHeadConfig(small_init=False).build(SIZES)
    assert torch.equal(small.body[0].weight, usual.body[0].weight)


def test_dropout_works_in_training_alone() -> None:
    head, h = PointHeadConfig(dropout=0.5).build(SIZES), normal(2, 3, SIZES.hidden)
    assert not torch.equal(head.train()(h), head(h))
    assert torch.equal(head.eval()(h), head(h))
