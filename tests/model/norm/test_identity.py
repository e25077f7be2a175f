"""Without normalisation nothing is changed, predicted or restored."""

from __future__ import annotations

import torch

from model.norm.identity import IdentityNorm
from tests.model.samples import normal


def test_windows_and_representations_pass() -> None:
    norm, x, h = IdentityNorm(), normal(2, 3, 5, 4), normal(2, 3, 4)
    y, stats = norm.normalize(x)
    assert torch.equal(y, x)
    assert torch.equal(norm.restore(h, stats), h)


def test_there_is_nothing_to_be_wrong_about() -> None:
    loss = IdentityNorm().auxiliary_loss(None, normal(2, 3, 4), torch.ones(2, 3, dtype=torch.bool))
    assert (loss.shape, loss.item()) == ((), 0.0)
