"""FAN, then SAN on what FAN leaves."""

from __future__ import annotations

import pytest
import torch

from model.norm.fan import FANConfig
from model.norm.fan_san import FANSAN, FANSANConfig
from model.norm.san import SANConfig
from tests.model.samples import SIZES, normal, uniform


@pytest.fixture
def both() -> FANSAN:
    return FANSANConfig(fan=FANConfig(top_k=2, predictor=8), san=SANConfig(slice_length=2)).build(SIZES)


def test_the_settings_of_both_parts_arrive(both: FANSAN) -> None:
    assert (both.fan.top_k, both.fan.inner.out_features, both.san.num_slices) == (2, 8, SIZES.window // 2)


def test_san_normalises_what_fan_leaves(both: FANSAN) -> None:
    x = normal(3, 4, SIZES.window, SIZES.hidden)
    y, stats = both.normalize(x)
    residual, main = both.fan.normalize(x)
    expected, slices = both.san.normalize(residual)
    assert torch.equal(y, expected)
    assert torch.equal(stats.main.given, main.given)
    assert torch.equal(torch.cat(stats.slices.given), torch.cat(slices.given))


def test_restoring_adds_what_both_parts_add(both: FANSAN) -> None:
    stats = both.normalize(normal(3, 4, SIZES.window, SIZES.hidden))[1]
    h = normal(3, 4, SIZES.hidden, seed=1)
    added = (both.fan.restore(h, stats.main) - h) + (both.san.restore(h, stats.slices) - h)
    torch.testing.assert_close(both.restore(h, stats), h + added)


def test_san_answers_for_what_fans_prediction_leaves(both: FANSAN) -> None:
    stats = both.normalize(normal(3, 4, SIZES.window, SIZES.hidden))[1]
    following, mask = normal(3, 4, SIZES.hidden, seed=1), uniform(3, 4, seed=2) < 0.7
    fan = both.fan.auxiliary_loss(stats.main, following, mask)
    san = both.san.auxiliary_loss(stats.slices, following - stats.main.judged, mask)
    torch.testing.assert_close(both.auxiliary_loss(stats, following, mask), fan + san)


def test_sans_error_does_not_pull_on_fan(both: FANSAN) -> None:
    stats = both.normalize(normal(3, 4, SIZES.window, SIZES.hidden))[1]
    mask = torch.ones(3, 4, dtype=torch.bool)
    both.auxiliary_loss(stats, stats.main.judged.detach(), mask).backward(
        inputs=[both.fan.inner.weight, both.fan.outer.weight]
    )
    assert all((parameter.grad == 0).all() for parameter in (both.fan.inner.weight, both.fan.outer.weight))
