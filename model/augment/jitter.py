"""Jitter: in training, normal noise on every value, in units of the window's own deviation per channel.

y = x + s * sd_l(x) * n,    n ~ N(0, 1)
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from model.protocols import BlockConfig, Sizes


class JitterConfig(BlockConfig):
    kind: Literal["jitter"] = "jitter"
    scale: float = Field(0.05, gt=0, description="of the noise, in deviations of the window's channel")

    def build(self, sizes: Sizes) -> nn.Module:
        return Jitter(self.scale)


class Jitter(nn.Module):
    """[B, N, L, H] -> [B, N, L, H]; the identity in evaluation."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x_BNLH: Tensor) -> Tensor:
        if not self.training:
            return x_BNLH
        deviation = x_BNLH.detach().std(dim=2, keepdim=True, unbiased=False)
        return x_BNLH + self.scale * deviation * torch.randn_like(x_BNLH)

    def extra_repr(self) -> str:
        return f"scale={self.scale}"
