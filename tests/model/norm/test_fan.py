"""FAN: its basis, the signal that it removes against `torch.fft`, and what it gives back."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.norm.fan import FAN, FANConfig, FANStatistics, fourier_basis
from tests.model.samples import SIZES, daily_relative_error, normal, uniform

WINDOWS = [2, 3, 5, 10, 20, 21, 60, 63, 120, 250, 252]


def _fan(window: int = 20, top_k: int = 3, hidden: int = 4) -> FAN:
    return FAN(window, hidden, top_k, predictor=8)


def _main_by_fft(x: Tensor, top_k: int) -> Tensor:
    """The `top_k` largest coefficients of the real Fourier transform of the last axis, transformed back."""
    spectrum = torch.fft.rfft(x.double())
    strongest = spectrum.abs().topk(top_k, dim=-1).indices
    kept = torch.zeros_like(spectrum).scatter(-1, strongest, spectrum.gather(-1, strongest))
    return torch.fft.irfft(kept, n=x.shape[-1]).float()


def _between_dc_and_nyquist(*shape: int) -> Tensor:
    """Random windows without a mean and without the alternating component."""
    x = normal(*shape)
    alternating = torch.tensor([1.0, -1.0]).repeat(shape[-1] // 2 + 1)[: shape[-1]]
    x = x - x.mean(-1, keepdim=True)
    return x if shape[-1] % 2 else x - alternating * (x * alternating).mean(-1, keepdim=True)


@pytest.mark.parametrize("window", WINDOWS)
def test_the_basis_is_orthonormal_and_complete(window: int) -> None:
    basis = fourier_basis(window)
    columns = basis[:, basis.norm(dim=0) > 0]
    assert basis.shape == (window, 2 * (window // 2 + 1))
    torch.testing.assert_close(columns.T @ columns, torch.eye(window), atol=1e-4, rtol=0)


@pytest.mark.parametrize("window", WINDOWS)
def test_the_basis_holds_each_frequency_as_cosine_and_sine(window: int) -> None:
    basis = fourier_basis(window).double()
    energy = torch.fft.rfft(basis.T).abs().square()
    for frequency in range(window // 2 + 1):
        for column in (frequency, frequency + window // 2 + 1):
            elsewhere = energy[column].clone()
            elsewhere[frequency] = 0
            torch.testing.assert_close(elsewhere, torch.zeros_like(elsewhere), atol=1e-4, rtol=0)


@pytest.mark.parametrize("window", [5, 10, 20, 21])
@pytest.mark.parametrize("top_k", [1, 2])
def test_the_main_signal_is_that_of_the_fft_between_dc_and_nyquist(window: int, top_k: int) -> None:
    x = _between_dc_and_nyquist(3, 50, 4, window)
    main = _fan(window, top_k).main_signal(x.transpose(-1, -2)).transpose(-1, -2)
    torch.testing.assert_close(main, _main_by_fft(x, top_k), atol=1e-4, rtol=0)


@pytest.mark.parametrize("window", [10, 21])
def test_dc_and_nyquist_compete_by_their_magnitude_in_the_fft_too(window: int) -> None:
    x = normal(3, 50, 4, window) + normal(3, 50, 4, 1, seed=1)
    main = _fan(window, top_k=2).main_signal(x.transpose(-1, -2)).transpose(-1, -2)
    torch.testing.assert_close(main, _main_by_fft(x, top_k=2), atol=1e-4, rtol=0)


@pytest.mark.parametrize("window", [10, 21])
def test_what_is_removed_and_what_is_left_add_up_to_the_window(window: int) -> None:
    x = normal(3, 5, window, 4)
    fan = _fan(window)
    y, _ = fan.normalize(x)
    torch.testing.assert_close(y + fan.main_signal(x), x, atol=1e-5, rtol=0)


def test_windows_of_few_strong_waves_leave_nothing() -> None:
    days = torch.arange(20)
    x = 3 + 2 * torch.cos(2 * torch.pi * 2 * days / 20 + 1) + torch.sin(2 * torch.pi * 5 * days / 20)
    y, _ = _fan(top_k=3).normalize(x.view(1, 1, 20, 1).expand(1, 1, 20, 4))
    torch.testing.assert_close(y, torch.zeros_like(y), atol=1e-5, rtol=0)


def test_frequencies_are_chosen_per_window_and_channel() -> None:
    waves = [torch.cos(2 * torch.pi * frequency * torch.arange(20) / 20) for frequency in (1, 2, 3, 4)]
    x = torch.stack([torch.stack(waves, dim=-1), torch.stack(waves[::-1], dim=-1)]).unsqueeze(0)
    y, _ = _fan(top_k=1).normalize(x)
    torch.testing.assert_close(y, torch.zeros_like(y), atol=1e-5, rtol=0)


def test_the_prediction_is_the_removed_signals_last_value_and_what_the_network_adds() -> None:
    fan, x = _fan(), normal(2, 3, 20, 4)
    predicted = fan.normalize(x)[1].given
    first, second = fan.inner, fan.outer
    for day, stock, channel in [(0, 0, 0), (1, 2, 3), (0, 1, 2)]:
        window = x[day, stock, :, channel]
        main = fan.main_signal(window.unsqueeze(-1)).squeeze(-1)
        expected = main[-1] + second(torch.relu(first.weight @ torch.cat([main, window]) + first.bias))
        torch.testing.assert_close(predicted[day, stock, channel], expected.squeeze())


def test_restoring_adds_a_linear_map_of_the_prediction() -> None:
    fan, h, predicted = _fan(), normal(2, 3, 4), normal(2, 3, 4, seed=1)
    torch.testing.assert_close(
        fan.restore(h, FANStatistics(predicted, predicted)), h + predicted @ fan.restoring.weight.T
    )


def test_the_auxiliary_loss_is_the_relative_error_of_the_prediction() -> None:
    fan, predicted, following = _fan(), normal(2, 3, 4), normal(2, 3, 4, seed=1)
    mask = uniform(2, 3, seed=2) < 0.5
    expected = daily_relative_error(predicted, following, mask)
    torch.testing.assert_close(fan.auxiliary_loss(FANStatistics(predicted, predicted), following, mask), expected)


@pytest.mark.parametrize("top_k", [1, 2, 5, 10])
def test_as_many_frequencies_are_chosen_as_were_asked_for(top_k: int) -> None:
    fan, x = _fan(window=20, top_k=top_k), normal(40, 20, 6)
    chosen = fan.strongest(fan.basis.T @ x)
    assert (chosen.sum(dim=1) == top_k).all()
    assert (fan.strongest((fan.basis.T @ x).bfloat16()).float().sum(dim=1) - top_k).abs().mean() < 0.02


@pytest.mark.parametrize("window", [20, 21, 60])
@pytest.mark.parametrize("top_k", [1, 3])
def test_of_equal_amplitudes_no_more_are_taken_than_were_asked_for(window: int, top_k: int) -> None:
    """A stock on its first day has a window that stands still but for one value: all frequencies are alike."""
    x = normal(2, 3, window, 4)
    x[1] = 0.0
    x[1, :, -1] = 2.5
    fan = _fan(window, top_k)
    chosen = fan.strongest(fan.basis.T @ x)
    assert (chosen.sum(dim=-2) == top_k).all()
    alone = fan.strongest(fan.basis.T @ x[:1])
    assert torch.equal(chosen[:1], alone), "the others keep theirs"


def test_a_window_that_stands_still_loses_everything() -> None:
    y, _ = _fan().normalize(torch.full((1, 2, 20, 4), 3.0))
    torch.testing.assert_close(y, torch.zeros_like(y), atol=1e-5, rtol=0)
    y, _ = _fan().normalize(torch.zeros(1, 2, 20, 4))
    assert not y.any()


@pytest.mark.parametrize(("window", "top_k"), [(10, 6), (10, 9), (5, 3)])
def test_some_frequency_must_be_left(window: int, top_k: int) -> None:
    sizes = SIZES._replace(window=window)
    with pytest.raises(ValueError, match=rf"window's {window // 2 + 1} frequencies, got {top_k}"):
        FANConfig(top_k=top_k).build(sizes)
    assert FANConfig(top_k=window // 2).build(sizes).top_k == window // 2
