"""Losses over daily cross-sections."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from model.losses.daily import weighted
from model.losses.pointwise import huber_by_horizon
from tests.model.samples import normal, uniform

D, N, K = 4, 9, 3


def _labels(seed: int = 0) -> tuple[Tensor, Tensor]:
    return normal(D, N, K, seed=seed), 2 * normal(D, N, K, seed=seed + 1)


def _by_loops(score: Tensor, target: Tensor, mask: Tensor, delta: float) -> list[float]:
    horizons = []
    for k in range(score.shape[2]):
        days = []
        for day in range(score.shape[0]):
            errors = (score[day, :, k] - target[day, :, k])[mask[day, :, k]].abs().tolist()
            each = [0.5 * e**2 if e <= delta else delta * (e - 0.5 * delta) for e in errors]
            if each:
                days.append(sum(each) / len(each))
        horizons.append(sum(days) / score.shape[0] / min(delta, 1.0))
    return horizons


@pytest.mark.parametrize("delta", [1.0, 2.5])
def test_on_a_full_mask_it_is_the_huber_loss_of_torch(delta: float) -> None:
    score, target = _labels()
    given = huber_by_horizon(score, target, torch.ones(D, N, K, dtype=torch.bool), delta)
    expected = [functional.huber_loss(score[..., k], target[..., k], delta=delta) for k in range(K)]
    torch.testing.assert_close(given, torch.stack(expected))


@pytest.mark.parametrize("delta", [0.01, 0.3, 1.0, 4.0])
def test_it_is_the_mean_over_days_of_the_mean_over_labelled_stocks(delta: float) -> None:
    score, target = _labels()
    mask = uniform(D, N, K, seed=3) < 0.5
    mask[1, :, 0] = False
    given = huber_by_horizon(score, target, mask, delta)
    torch.testing.assert_close(given, torch.tensor(_by_loops(score, target, mask, delta)))


def test_a_day_with_more_stocks_does_not_weigh_more() -> None:
    errors, mask = torch.zeros(2, 100, 1), torch.ones(2, 100, 1, dtype=torch.bool)
    errors[0], errors[1] = 2.0, 4.0
    mask[0, 1:] = False
    given = huber_by_horizon(errors, torch.zeros_like(errors), mask, delta=1.0)
    torch.testing.assert_close(given, torch.tensor([(1.5 + 3.5) / 2]))


def test_a_day_without_labels_adds_nothing_to_the_days_sum() -> None:
    score, target = _labels()
    mask = torch.ones(D, N, K, dtype=torch.bool)
    mask[-1] = False
    without = huber_by_horizon(score[:-1], target[:-1], mask[:-1], 1.0)
    torch.testing.assert_close(huber_by_horizon(score, target, mask, 1.0) * D, without * (D - 1))


def test_what_is_masked_does_not_count() -> None:
    score, target = _labels()
    mask = uniform(D, N, K, seed=3) < 0.5
    other = torch.where(mask, score, score + 100)
    assert torch.equal(huber_by_horizon(score, target, mask, 1.0), huber_by_horizon(other, target, mask, 1.0))


def test_without_any_label_the_loss_and_its_gradient_are_zero() -> None:
    score, target = _labels()
    score.requires_grad_()
    loss = huber_by_horizon(score, target, torch.zeros(D, N, K, dtype=torch.bool), 1.0)
    loss.sum().backward()
    assert loss.tolist() == [0.0] * K
    assert score.grad is not None
    assert (score.grad == 0).all()


def test_a_horizon_without_labels_leaves_the_others_alone() -> None:
    score, target = _labels()
    mask = torch.ones(D, N, K, dtype=torch.bool)
    mask[..., 1] = False
    given = huber_by_horizon(score, target, mask, 1.0)
    full = huber_by_horizon(score, target, torch.ones(D, N, K, dtype=torch.bool), 1.0)
    assert given[1] == 0
    assert torch.equal(given[[0, 2]], full[[0, 2]])


@pytest.mark.parametrize("delta", [0.001, 0.1, 1.0])
def test_a_small_delta_keeps_the_gradient_of_an_error_at_order_one(delta: float) -> None:
    score = torch.full((1, 1, 1), 3.0, requires_grad=True)
    huber_by_horizon(score, torch.zeros(1, 1, 1), torch.ones(1, 1, 1, dtype=torch.bool), delta).sum().backward()
    torch.testing.assert_close(score.grad, torch.ones(1, 1, 1))


def test_horizons_are_averaged_by_their_weights() -> None:
    losses = torch.tensor([1.0, 2.0, 4.0])
    torch.testing.assert_close(weighted(losses, (3.0, 0.0, 1.0)), torch.tensor(7.0 / 4))
    torch.testing.assert_close(weighted(losses, (1.0, 1.0, 1.0)), losses.mean())


def test_the_size_of_the_weights_does_not_matter() -> None:
    losses = torch.tensor([1.0, 2.0, 4.0])
    torch.testing.assert_close(weighted(losses, (10.0, 20.0, 5.0)), weighted(losses, (2.0, 4.0, 1.0)))


def test_the_weighted_loss_keeps_the_gradient_of_each_horizon() -> None:
    losses = torch.tensor([1.0, 2.0, 4.0], requires_grad=True)
    weighted(losses, (3.0, 0.0, 1.0)).backward()
    torch.testing.assert_close(losses.grad, torch.tensor([0.75, 0.0, 0.25]))
