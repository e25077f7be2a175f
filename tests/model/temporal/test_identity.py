"""The last day alone."""

from __future__ import annotations

import torch

from model.temporal.identity import LastDay
from tests.model.samples import normal


def test_it_is_the_last_day_whatever_came_before_or_was_observed() -> None:
    x = normal(2, 3, 5, 4)
    for observed in (True, False):
        assert torch.equal(LastDay()(x, torch.full((2, 3, 5), observed)), x[:, :, 4])
