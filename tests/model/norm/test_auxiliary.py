"""The relative squared error that the normalisers' auxiliary losses share."""

from __future__ import annotations

import pytest
import torch

from model.norm.auxiliary import relative_squared_error
from model.protocols import BlockConfig
from tests.model.samples import DAYS, SIZES, STOCKS, members, normal, uniform

LEARNING_NORMS = [member for member in members("norm") if member().kind not in ("identity", "revin")]


def test_the_error_is_in_units_of_what_happened() -> None:
    predicted, actual = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[3.0, 4.0]]])
    given = relative_squared_error(predicted, actual, torch.ones(1, 1, dtype=torch.bool))
    torch.testing.assert_close(given, torch.tensor((4.0 + 16.0) / 25.0))


def test_predicting_zero_costs_one() -> None:
    actual, mask = 7 * normal(3, 5, 4), uniform(3, 5, seed=1) < 0.5
    given = relative_squared_error(torch.zeros_like(actual), actual, mask)
    torch.testing.assert_close(given, torch.tensor(1.0), rtol=1e-4, atol=0)


def test_the_scale_of_the_projection_does_not_matter() -> None:
    predicted, actual, mask = normal(3, 5, 4), normal(3, 5, 4, seed=1), uniform(3, 5, seed=2) < 0.5
    small, large = (relative_squared_error(c * predicted, c * actual, mask) for c in (1.0, 50.0))
    torch.testing.assert_close(small, large, rtol=1e-4, atol=0)


def test_without_a_known_cell_it_is_zero_and_so_is_its_gradient() -> None:
    predicted, actual = normal(3, 5, 4).requires_grad_(), normal(3, 5, 4, seed=1)
    loss = relative_squared_error(predicted, actual, torch.zeros(3, 5, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert predicted.grad is not None
    assert (predicted.grad == 0).all()


@pytest.mark.parametrize("member", LEARNING_NORMS, ids=lambda member: member().kind)
def test_an_unknown_cell_changes_no_norms_auxiliary_loss(member: type[BlockConfig]) -> None:
    norm, mask = member().build(SIZES), uniform(DAYS, STOCKS, seed=1) < 0.6
    stats = norm.normalize(normal(DAYS, STOCKS, SIZES.window, SIZES.hidden))[1]
    following = normal(DAYS, STOCKS, SIZES.hidden, seed=2)
    other = torch.where(mask.unsqueeze(-1), following, 99.0)
    known = torch.where(mask.unsqueeze(-1), following + 0.1, following)
    loss = norm.auxiliary_loss(stats, following, mask)
    assert torch.equal(loss, norm.auxiliary_loss(stats, other, mask))
    assert not torch.equal(loss, norm.auxiliary_loss(stats, known, mask))
