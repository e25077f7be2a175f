"""FreqDropout: which windows lose which band, and what stays."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.augment.freq_dropout import FreqDropout
from tests.model.samples import normal

STOCKS = 1500


def _removed(window: int, probability: float, width: float) -> tuple[Tensor, Tensor, Tensor]:
    """Windows, what training makes of them, and which frequencies are gone from all channels: [N, R]."""
    x = normal(1, STOCKS, window, 2) + 3
    y = FreqDropout(window, probability, width).train()(x)
    return x, y, (torch.fft.rfft(y[0].double(), dim=1).abs() < 1e-3).all(dim=-1)


def test_in_evaluation_nothing_happens() -> None:
    x = normal(2, 3, 10, 4)
    assert torch.equal(FreqDropout(10, probability=1.0, width=1.0).eval()(x), x)


@pytest.mark.parametrize("window", [10, 20, 21])
@pytest.mark.parametrize("width", [0.1, 0.3, 1.0])
def test_the_mean_of_a_window_is_kept(window: int, width: float) -> None:
    x, y, _ = _removed(window, probability=1.0, width=width)
    torch.testing.assert_close(y.mean(dim=2), x.mean(dim=2), atol=1e-5, rtol=0)


@pytest.mark.parametrize("window", [10, 20, 21])
@pytest.mark.parametrize("width", [0.1, 0.3, 1.0])
def test_exactly_one_contiguous_band_of_every_hit_window_is_gone(window: int, width: float) -> None:
    x, y, gone = _removed(window, probability=1.0, width=width)
    edges = gone.int().diff(dim=1, prepend=torch.zeros(STOCKS, 1), append=torch.zeros(STOCKS, 1))
    assert ((edges == 1).sum(dim=1) == 1).all()
    assert not gone[:, 0].any()
    spectra = [torch.fft.rfft(values[0].double(), dim=1) for values in (x, y)]
    before, after = (spectrum[~gone] for spectrum in spectra)
    torch.testing.assert_close(after, before, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("window", "width", "widest"), [(10, 0.1, 1), (20, 0.3, 3), (21, 0.5, 5), (20, 1.0, 10)])
def test_bands_have_all_lengths_up_to_the_widest_and_reach_every_frequency(
    window: int, width: float, widest: int
) -> None:
    gone = _removed(window, probability=1.0, width=width)[2]
    assert set(gone.sum(dim=1).tolist()) == set(range(1, widest + 1))
    assert gone[:, 1:].any(dim=0).all()


def test_bands_of_one_frequency_fall_anywhere_alike() -> None:
    share = _removed(20, probability=1.0, width=0.1)[2][:, 1:].float().mean(dim=0)
    torch.testing.assert_close(share, torch.full_like(share, 0.1), atol=0.035, rtol=0)


@pytest.mark.parametrize("probability", [0.1, 0.5, 1.0])
def test_the_share_of_windows_that_are_hit_is_the_probability(probability: float) -> None:
    x, y, gone = _removed(20, probability, width=0.3)
    hit = gone.any(dim=1)
    tolerance = 4 * (probability * (1 - probability) / STOCKS) ** 0.5
    assert abs(hit.float().mean() - probability) <= tolerance
    assert torch.equal(y[0, ~hit], x[0, ~hit])


def test_windows_are_hit_independently_and_anew_in_every_pass() -> None:
    x, dropout = normal(2, 400, 10, 1), FreqDropout(10, probability=0.5, width=0.3).train()
    hits = [(dropout(x) != x).any(dim=-1).any(dim=-1).float() for _ in range(2)]
    for one, other in ((hits[0][0], hits[0][1]), (hits[0][0], hits[1][0])):
        assert abs((one * other).mean() - 0.25) < 0.1


def test_no_window_hit_leaves_the_gradient_whole() -> None:
    x = normal(1, 2, 10, 3).requires_grad_()
    FreqDropout(10, probability=1e-12, width=0.3).train()(x).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.ones_like(x))
