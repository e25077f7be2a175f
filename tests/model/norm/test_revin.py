"""RevIN: its equation, and that the window's statistics come back through `restore`."""

from __future__ import annotations

import torch

from model.norm.revin import RevIN, RevINConfig
from tests.model.samples import DAYS, SIZES, STOCKS, normal

B, N, L, H = DAYS, STOCKS, SIZES.window, SIZES.hidden


def _norm() -> RevIN:
    torch.manual_seed(0)
    norm = RevINConfig().build(SIZES)
    norm.gamma.data, norm.beta.data = normal(H, seed=1), normal(H, seed=2)
    return norm


def test_the_output_computes_its_equation() -> None:
    norm, x = _norm(), 3 + 5 * normal(B, N, L, H)
    y, stats = norm.normalize(x)
    for day, stock, channel in [(0, 0, 0), (2, 3, 5)]:
        window = x[day, stock, :, channel]
        mean = sum(window) / L
        deviation = (sum((value - mean) ** 2 for value in window) / L + 1e-4) ** 0.5
        expected = norm.gamma[channel] * (window - mean) / deviation + norm.beta[channel]
        torch.testing.assert_close(y[day, stock, :, channel], expected)
        torch.testing.assert_close(stats.mean[day, stock, channel], mean)
        torch.testing.assert_close(stats.deviation[day, stock, channel], deviation)


def test_what_was_removed_comes_back_as_a_linear_map() -> None:
    norm, x, h = _norm(), normal(B, N, L, H), normal(B, N, H, seed=3)
    _, stats = norm.normalize(x)
    of_mean, of_deviation = norm.restoring.weight.split(H, dim=1)
    expected = h + stats.mean @ of_mean.T + stats.deviation @ of_deviation.T
    torch.testing.assert_close(norm.restore(h, stats), expected)


def test_a_constant_window_is_finite() -> None:
    y, _ = RevINConfig().build(SIZES).normalize(torch.full((B, N, L, H), 7.0))
    assert (y == 0).all()


def test_denormalising_returns_the_window() -> None:
    norm, x = _norm(), 3 + 5 * normal(B, N, L, H)
    y, stats = norm.normalize(x)
    back = (y - norm.beta) / norm.gamma * stats.deviation.unsqueeze(2) + stats.mean.unsqueeze(2)
    torch.testing.assert_close(back, x, atol=1e-4, rtol=1e-4)
