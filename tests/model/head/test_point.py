"""The point head: its equation and its start near zero."""

from __future__ import annotations

import pytest
import torch

from model.head.body import SMALL_DEVIATION
from model.head.point import PointHeadConfig
from model.protocols import Sizes
from tests.model.samples import SIZES, normal

LARGE = Sizes(features=1, hidden=256, window=10, edge_attributes=4, horizons=8)


def test_the_output_computes_its_equation() -> None:
    head, h = PointHeadConfig().build(SIZES).eval(), normal(2, 3, SIZES.hidden)
    dense = head.body.dense[0]
    inner = h @ dense.weight.T + dense.bias
    gelu = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
    torch.testing.assert_close(head(h).squeeze(-1), gelu @ head.out.weight.T + head.out.bias)


def test_layer_scale_multiplies_each_channel_by_a_factor_that_starts_where_it_was_told() -> None:
    torch.manual_seed(0)
    plain = PointHeadConfig(small_init=False).build(SIZES).eval()
    torch.manual_seed(0)
    scaled = PointHeadConfig(small_init=False, layer_scale=0.1).build(SIZES).eval()
    h = normal(2, 3, SIZES.hidden)
    bias = plain.out.bias.unsqueeze(-1)
    torch.testing.assert_close(scaled(h) - bias, 0.1 * (plain(h) - bias))
    scaled.body.scale.gamma.data = torch.arange(SIZES.hidden).float()
    inner = plain.body(h) * torch.arange(SIZES.hidden)
    torch.testing.assert_close(scaled(h).squeeze(-1), plain.out(inner))


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
    assert torch.equal(small.body.dense[0].weight, usual.body.dense[0].weight)


def test_dropout_works_in_training_alone() -> None:
    head, h = PointHeadConfig(dropout=0.5).build(SIZES), normal(2, 3, SIZES.hidden)
    assert not torch.equal(head.train()(h), head(h))
    assert torch.equal(head.eval()(h), head(h))
