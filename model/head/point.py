"""Multi-horizon point head: one hidden layer shared by the horizons, one output each.

With `small_init` the last layer starts at a truncated normal of deviation 0.01 and zero bias, so that the first
predictions are near zero, as the targets are.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from model.protocols import BlockConfig, Sizes

SMALL_DEVIATION = 0.01


class PointHeadConfig(BlockConfig):
    kind: Literal["point"] = "point"
    dropout: float = Field(0.3, ge=0, lt=1)
    small_init: bool = Field(True, description="start the output layer near zero")

    def build(self, sizes: Sizes) -> nn.Module:
        return PointHead(sizes.hidden, sizes.horizons, self.dropout, self.small_init)


class PointHead(nn.Module):
    """[B, N, H] -> [B, N, K]."""

    def __init__(self, hidden: int, horizons: int, dropout: float, small_init: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.Dropout(dropout))
        self.out = nn.Linear(hidden, horizons)
        if small_init:
            nn.init.trunc_normal_(self.out.weight, std=SMALL_DEVIATION)
            nn.init.zeros_(self.out.bias)

    def forward(self, h_BNH: Tensor) -> Tensor:
        return self.out(self.body(h_BNH))
