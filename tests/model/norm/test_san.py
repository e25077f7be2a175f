"""SAN: normalised slices, the predicted statistics and what it gives back."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from model.norm.auxiliary import relative_squared_error
from model.norm.san import EPSILON, SAN, SANConfig, SANStatistics, SliceStatistics
from tests.model.samples import SIZES, daily_relative_error, normal, uniform

L, H, P = 20, 4, 4


def _san() -> SAN:
    return SAN(L, H, slice_length=L // P)


def _both(mean: Tensor, deviation: Tensor) -> SANStatistics:
    return SANStatistics(SliceStatistics(mean, deviation), SliceStatistics(mean, deviation))


def test_normalised_slices_have_mean_zero_and_deviation_one() -> None:
    x = 100 * normal(3, 5, L, H) + 300 * normal(3, 5, 1, H, seed=1)
    slices = _san().normalize(x)[0].unflatten(2, (P, L // P))
    torch.testing.assert_close(slices.mean(dim=3), torch.zeros(3, 5, P, H), atol=1e-4, rtol=0)
    torch.testing.assert_close(slices.std(dim=3, unbiased=False), torch.ones(3, 5, P, H), atol=1e-4, rtol=0)


def test_slices_are_consecutive_days() -> None:
    x = normal(1, 1, L, H)
    other = x.clone()
    other[:, :, : L // P] *= -3
    before, after = _san().normalize(x)[0], _san().normalize(other)[0]
    assert torch.equal(before[:, :, L // P :], after[:, :, L // P :])
    assert not torch.allclose(before[:, :, : L // P], after[:, :, : L // P])


def test_a_constant_slice_becomes_zero_and_its_gradient_is_finite() -> None:
    x = normal(2, 3, L, H)
    x[:, :, : L // P] = 7.0
    x.requires_grad_()
    y, stats = _san().normalize(x)
    (y.sum() + torch.cat(stats.given).sum()).backward()
    assert (y[:, :, : L // P] == 0).all()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_noise_far_below_the_floor_is_not_blown_up() -> None:
    y, _ = _san().normalize(1e-6 * normal(2, 3, L, H))
    assert y.abs().max() < 1e-5 / EPSILON


def test_the_predicted_statistics_compute_their_equations() -> None:
    san, x = _san(), 2 * normal(2, 3, L, H)
    predicted = san.normalize(x)[1].given
    f, g = san.next_mean, san.next_deviation
    for day, stock, channel in [(0, 0, 0), (1, 2, 3), (0, 1, 2)]:
        slices = x[day, stock, :, channel].view(P, L // P)
        means = torch.stack([part.mean() for part in slices])
        logs = torch.stack([(part.var(unbiased=False) + EPSILON**2).sqrt().log() for part in slices])
        mean = means.mean() + (f.weight[0] * (means - means.mean())).sum() + f.bias[0]
        log = logs.mean() + (g.weight[0] * (logs - logs.mean())).sum() + g.bias[0]
        torch.testing.assert_close(predicted.mean[day, stock, channel], mean)
        torch.testing.assert_close(predicted.deviation[day, stock, channel], log.exp())


def test_a_shift_of_the_window_shifts_the_predicted_mean_alone() -> None:
    san, x = _san(), normal(2, 3, L, H)
    (y, stats), (shifted_y, shifted) = san.normalize(x), san.normalize(x + 5)
    torch.testing.assert_close(shifted_y, y, atol=1e-4, rtol=0)
    torch.testing.assert_close(shifted.given.mean, stats.given.mean + 5)
    torch.testing.assert_close(shifted.given.deviation, stats.given.deviation, atol=1e-4, rtol=0)


def test_the_scale_of_the_window_is_the_scale_of_the_predicted_deviation() -> None:
    san, x = _san(), 10 * normal(2, 3, L, H)
    (y, stats), (scaled_y, scaled) = san.normalize(x), san.normalize(3 * x)
    torch.testing.assert_close(scaled_y, y, atol=1e-3, rtol=0)
    torch.testing.assert_close(scaled.given.deviation, 3 * stats.given.deviation, rtol=1e-3, atol=0)


def test_restoring_adds_a_linear_map_of_both_statistics() -> None:
    san, h = _san(), normal(2, 3, H)
    mean, deviation = normal(2, 3, H, seed=1), uniform(2, 3, H, seed=2)
    expected = h + torch.cat([mean, deviation], dim=-1) @ san.restoring.weight.T
    torch.testing.assert_close(san.restore(h, _both(mean, deviation)), expected)


def test_the_auxiliary_loss_is_the_error_of_the_mean_and_of_the_deviation() -> None:
    san, following, mask = _san(), normal(2, 3, H), torch.tensor([[True, False, True], [False, True, True]])
    mean, deviation = normal(2, 3, H, seed=1), uniform(2, 3, H, seed=2)
    distance = (math.pi / 2) ** 0.5 * (following - mean).abs()
    expected = daily_relative_error(mean, following, mask) + daily_relative_error(deviation, distance, mask)
    torch.testing.assert_close(san.auxiliary_loss(_both(mean, deviation), following, mask), expected)


def test_the_deviation_is_best_where_it_is_that_of_a_normal_error() -> None:
    """The proxy sqrt(pi/2) |x - mean| has the deviation as its expectation."""
    following, mask = 3 * normal(400, 50, 1), torch.ones(400, 50, dtype=torch.bool)
    zero = torch.zeros_like(following)
    san = SAN(L, 1, L // P)
    losses = {d: san.auxiliary_loss(_both(zero, zero + d), following, mask) for d in (2.0, 3.0, 4.0)}
    assert min(losses, key=lambda deviation: losses[deviation].item()) == 3.0


def test_the_deviations_error_does_not_pull_on_the_mean() -> None:
    san, following, mask = _san(), normal(2, 3, H), torch.ones(2, 3, dtype=torch.bool)
    mean, deviation = normal(2, 3, H, seed=1).requires_grad_(), torch.ones(2, 3, H, requires_grad=True)
    whole = san.auxiliary_loss(_both(mean, deviation), following, mask)
    of_the_mean = relative_squared_error(mean, following, mask)
    pulled, deviation_pulled = torch.autograd.grad(whole, (mean, deviation))
    torch.testing.assert_close(pulled, torch.autograd.grad(of_the_mean, mean)[0])
    assert (deviation_pulled != 0).any()


@pytest.mark.parametrize("slice_length", [3, 7, 20, 40])
def test_slices_must_divide_the_window(slice_length: int) -> None:
    with pytest.raises(
        ValueError, match=rf"divide the window {SIZES.window} into two slices or more, got {slice_length}"
    ):
        SANConfig(slice_length=slice_length).build(SIZES)
