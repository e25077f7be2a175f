"""Frequency adaptive normalisation (Ye et al., NeurIPS 2024).

Per window and channel the `top_k` strongest Fourier components are taken out (eq. 3-4); a small network predicts their
continuation (eq. 6), which `restore` gives back. The transform is two matrix products with a real Fourier basis, which
beats the FFT at these lengths on CPU.

    c = Q^T x,    x_main = Q (c * top_k(|DFT x|)),    y = x - x_main
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from model.norm.auxiliary import relative_squared_error
from model.protocols import NormBlockConfig, Sizes

TINY = 1e-12


class FANConfig(NormBlockConfig):
    kind: Literal["fan"] = "fan"
    top_k: int = Field(3, ge=1, description="frequencies removed per window and channel")
    predictor: int = Field(16, ge=1, le=4096, description="width of the predictor of the removed signal")

    def build(self, sizes: Sizes) -> nn.Module:
        return FAN(sizes.window, sizes.hidden, self.top_k, self.predictor)


def fourier_basis(window: int) -> Tensor:
    """Orthonormal real basis [L, 2R], R = L // 2 + 1: cosine columns, then sine columns, zero where degenerate."""
    frequencies = window // 2 + 1
    angle = 2 * math.pi * torch.outer(torch.arange(window), torch.arange(frequencies)).double() / window
    basis = torch.cat([angle.cos(), angle.sin()], dim=1)
    length = basis.norm(dim=0)
    return torch.where(length > 1e-4, basis / length.clamp(min=1e-4), 0.0).float()


def _amplitude(window: int) -> Tensor:
    """DC, and Nyquist in even windows, stand for one complex coefficient, every other frequency for a pair."""
    weight = torch.ones(window // 2 + 1)
    weight[0] = 2.0
    if window % 2 == 0:
        weight[-1] = 2.0
    return weight


class FANStatistics(NamedTuple):
    """What the removed signal is expected to be tomorrow, [B, N, H]: the same numbers twice, given back and judged.

    Judged is the predictor alone: a gradient into the windows would make the projection easy to predict instead of
    worth predicting from.
    """

    given: Tensor
    judged: Tensor


class FAN(nn.Module):
    """[B, N, L, H] -> [B, N, L, H]; the statistic is the predicted next value of the removed signal [B, N, H]."""

    basis: Tensor
    amplitude: Tensor  # [R]: from the orthonormal basis' energy to the squared amplitude |rfft|^2, up to a constant

    def __init__(self, window: int, hidden: int, top_k: int, predictor: int) -> None:
        super().__init__()
        frequencies = window // 2 + 1
        if top_k >= frequencies:
            raise ValueError(
                f"FAN's top_k must be below the window's {frequencies} frequencies, got {top_k}. Lower it, or choose a "
                f"longer window."
            )
        self.top_k = top_k
        self.register_buffer("basis", fourier_basis(window), persistent=False)
        self.register_buffer("amplitude", _amplitude(window), persistent=False)
        self.inner, self.outer = nn.Linear(2 * window, predictor), nn.Linear(predictor, 1)
        self.restoring = nn.Linear(hidden, hidden, bias=False)
        nn.init.eye_(self.restoring.weight)  # at the start what was removed is put back, channel by channel

    def main_signal(self, x_BLC: Tensor) -> Tensor:
        """The windows rebuilt from their `top_k` strongest frequencies, DC among the candidates: [.., L, C]."""
        coefficients = self.basis.T @ x_BLC
        keep = self.strongest(coefficients)
        return self.basis @ (coefficients * torch.cat([keep, keep], dim=-2))

    @torch.no_grad()
    def strongest(self, coefficients: Tensor) -> Tensor:
        """1 for the `top_k` frequencies of largest amplitude, 0 for the others: [.., 2R, C] -> [.., R, C].

        The largest is taken out `top_k` - 1 times and what then is largest is the threshold: for few of few, faster
        than sorting. Windows with equal amplitudes, as a stock has them on its first day, are sorted after all.
        """
        power = coefficients.float().square().unflatten(-2, (2, -1)).sum(-3) * self.amplitude.unsqueeze(-1)
        rest = power
        for _ in range(self.top_k - 1):
            rest = rest.masked_fill(rest >= rest.amax(dim=-2, keepdim=True), -1.0)
        keep = (power >= rest.amax(dim=-2, keepdim=True)).to(coefficients.dtype)
        crowded = keep.sum(dim=-2) > self.top_k
        if crowded.any():
            order = power.movedim(-2, -1)[crowded].sort(dim=-1, descending=True, stable=True).indices
            chosen = torch.zeros_like(order, dtype=keep.dtype).scatter_(-1, order[:, : self.top_k], 1.0)
            keep.movedim(-2, -1)[crowded] = chosen
        return keep

    def normalize(self, x_BNLH: Tensor) -> tuple[Tensor, FANStatistics]:
        x_BLC = x_BNLH.transpose(1, 2).flatten(2)  # C = N*H; of a block's windows a view, so that nothing is copied
        main_BLC = self.main_signal(x_BLC)
        cells = x_BNLH.shape[1], x_BNLH.shape[3]
        left_BLNH = (x_BLC - main_BLC).unflatten(2, cells)
        given, judged = self._next(main_BLC, x_BLC), self._next(main_BLC.detach(), x_BLC.detach())
        return left_BLNH.transpose(1, 2), FANStatistics(given.unflatten(1, cells), judged.unflatten(1, cells))

    def _next(self, main_BLC: Tensor, x_BLC: Tensor) -> Tensor:
        """What is expected of the removed signal tomorrow: [B, C]. Each channel of a stock by itself.

        Today's value, and what the network adds to it: the level of a feature that moves slowly is there from the first
        step, and only its change has to be learned.
        """
        of_main, of_window = self.inner.weight.chunk(2, dim=1)
        inner_BPC = torch.relu(of_main @ main_BLC + of_window @ x_BLC + self.inner.bias.unsqueeze(-1))
        change_B1C = self.outer.weight @ inner_BPC + self.outer.bias.unsqueeze(-1)
        return main_BLC[..., -1, :] + change_B1C.squeeze(-2)

    def restore(self, h_BNH: Tensor, stats: FANStatistics) -> Tensor:
        return h_BNH + self.restoring(stats.given)

    def auxiliary_loss(self, stats: FANStatistics, next_BNH: Tensor, mask_BN: Tensor) -> Tensor:
        return relative_squared_error(stats.judged, next_BNH, mask_BN)

    def removed(self, x_BNLH: Tensor) -> dict[str, Tensor]:
        """`frequency` [B, N, R]: share of channels that lose it, R = 0 .. L // 2 cycles per window; `energy` [B, N, H]:
        share of the window's sum of squares that goes.
        """
        taken = self.main_signal(x_BNLH).square().sum(2) / x_BNLH.square().sum(2).clamp(min=TINY)
        return {"frequency": self.strongest(self.basis.T @ x_BNLH).mean(dim=-1), "energy": taken}
