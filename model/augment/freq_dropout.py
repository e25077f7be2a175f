"""FreqDropout: in training, a random band of each stock's window spectrum is removed; the mean (DC) is always kept.

y = x - Q (m * Q^T x),  m = 1 on the drawn band of frequencies, 0 elsewhere
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from model.augment.runs import random_runs
from model.norm.fan import fourier_basis
from model.protocols import BlockConfig, Sizes


class FreqDropoutConfig(BlockConfig):
    kind: Literal["freq_dropout"] = "freq_dropout"
    probability: float = Field(0.1, gt=0, le=1, description="share of windows that lose a band")
    width: float = Field(0.3, gt=0, le=1, description="largest band, as a share of the non-zero frequencies")

    def build(self, sizes: Sizes) -> nn.Module:
        return FreqDropout(sizes.window, self.probability, self.width)


class FreqDropout(nn.Module):
    """[B, N, L, H] -> [B, N, L, H]; the identity in evaluation."""

    basis: Tensor

    def __init__(self, window: int, probability: float, width: float) -> None:
        super().__init__()
        self.probability, self.width = probability, width
        self.register_buffer("basis", fourier_basis(window), persistent=False)

    def band(self, batch: torch.Size, device: torch.device) -> Tensor:
        """Random masks [*batch, R]: a contiguous band of non-zero frequencies, with the given probability."""
        nonzero = self.basis.shape[1] // 2 - 1
        runs = random_runs(batch, nonzero, self.width, self.probability, device)
        return functional.pad(runs, (1, 0)).to(self.basis.dtype)

    def forward(self, x_BNLH: Tensor) -> Tensor:
        if not self.training:
            return x_BNLH
        mask = self.band(x_BNLH.shape[:2], x_BNLH.device)
        chosen = mask.any(dim=-1)  # only the hit windows pay for the transform
        x = x_BNLH[chosen].transpose(-1, -2)
        doubled = torch.cat([mask, mask], dim=-1)[chosen].unsqueeze(1)
        band = ((x @ self.basis) * doubled) @ self.basis.T
        removed = torch.zeros_like(x_BNLH)
        removed[chosen] = band.transpose(-1, -2).to(x_BNLH.dtype)
        return x_BNLH - removed

    def extra_repr(self) -> str:
        return f"probability={self.probability}, width={self.width}"
