"""The last day alone."""

from __future__ import annotations

import torch

from model.temporal.identity import LastDay
from tests.model.samples import normal


def test_it_is_the_last_day_whatever_came_before_or_was_observed() -> None:
    x = normal(2, 3, 5, 4)
    for observed in (True, False):
        mask, sector = torch.full((2, 3, 5), observed), torch.zeros(2, 3, dtype=torch.long)
        assert torch.equal(LastDay()(x, mask, sector), x[:, :, 4])
