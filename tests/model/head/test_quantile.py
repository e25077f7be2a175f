"""The quantile head: its equation, and that quantiles cannot cross."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from model.head.quantile import QuantileHead, QuantileHeadConfig
from tests.model.samples import SIZES, normal

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.9)


def _head(levels: tuple[float, ...] = LEVELS) -> QuantileHead:
    torch.manual_seed(0)
    return QuantileHeadConfig(levels=levels, small_init=False).build(SIZES).eval()


def test_the_output_computes_its_equation() -> None:
    head, h = _head(), normal(2, 3, SIZES.hidden)
    raw = head.out(head.body(h)).view(2, 3, SIZES.horizons, len(LEVELS))
    step = (1 + raw.exp()).log()
    expected = [raw[..., 2] - step[..., 1] - step[..., 0], raw[..., 2] - step[..., 1], raw[..., 2]]
    expected += [raw[..., 2] + step[..., 3], raw[..., 2] + step[..., 3] + step[..., 4]]
    torch.testing.assert_close(head(h), torch.stack(expected, dim=-1))


@pytest.mark.parametrize("levels", [LEVELS, (0.1, 0.5), (0.5, 0.9), (0.1, 0.5, 0.9)])
def test_quantiles_never_cross_whatever_the_weights(levels: tuple[float, ...]) -> None:
    head = _head(levels)
    for parameter in head.parameters():
        parameter.data = 4 * normal(*parameter.shape, seed=parameter.numel())
    out = head(5 * normal(40, 30, SIZES.hidden))
    assert (out.diff(dim=-1) >= 0).all()
    assert out.shape[-1] == len(levels)


@pytest.mark.parametrize("levels", [(0.5,), (0.1, 0.9), (0.9, 0.5), (0.0, 0.5), (0.5, 1.0), (0.5, 0.5), ()])
def test_levels_ascend_between_zero_and_one_through_the_median(levels: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match=r"ascend between 0 and 1 with 0\.5 among them"):
        QuantileHeadConfig(levels=levels)
