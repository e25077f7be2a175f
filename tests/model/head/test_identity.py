"""The first K channels are the predictions."""

from __future__ import annotations

import pytest
import torch

from model.head.identity import IdentityHeadConfig
from tests.model.samples import SIZES, normal


def test_the_first_channels_are_the_scores() -> None:
    h = normal(2, 3, SIZES.hidden)
    assert torch.equal(IdentityHeadConfig().build(SIZES)(h).squeeze(-1), h[..., : SIZES.horizons])


def test_there_must_be_a_channel_per_horizon() -> None:
    with pytest.raises(ValueError, match="9 horizons, hidden 8"):
        IdentityHeadConfig().build(SIZES._replace(horizons=9))
    assert IdentityHeadConfig().build(SIZES._replace(horizons=8)).horizons == 8
