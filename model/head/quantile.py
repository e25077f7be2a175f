"""Multi-horizon quantile head whose quantiles cannot cross.

The median is an output of its own; every other quantile lies a positive step further out (softplus), so the order holds
for any weights.

    q_m = o_m,    q_(m+i) = q_(m+i-1) + softplus(o_(m+i)),    q_(m-i) = q_(m-i+1) - softplus(o_(m-i))
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn import functional

from model.head.body import MEDIAN, Body, HeadConfig, output_layer
from model.protocols import Sizes


class QuantileHeadConfig(HeadConfig):
    kind: Literal["quantile"] = "quantile"
    levels: tuple[float, ...] = Field((0.1, 0.5, 0.9), description="ascending, the median among them")

    @field_validator("levels")
    @classmethod
    def _ascend_through_the_median(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        inside = all(0 < level < 1 for level in levels)
        if len(levels) < 2 or not inside or any(a >= b for a, b in pairwise(levels)) or MEDIAN not in levels:
            raise ValueError(f"quantile levels must ascend between 0 and 1 with {MEDIAN} among them, got {levels}")
        return levels

    def build(self, sizes: Sizes) -> nn.Module:
        return QuantileHead(sizes.hidden, sizes.horizons, self.levels, self)


class QuantileHead(nn.Module):
    """[B, N, H] -> [B, N, K, Q], ascending along Q."""

    def __init__(self, hidden: int, horizons: int, levels: tuple[float, ...], config: HeadConfig) -> None:
        super().__init__()
        self.levels, self.horizons = levels, horizons
        self.median = levels.index(MEDIAN)
        self.body = Body(hidden, config)
        self.out = output_layer(hidden, horizons * len(levels), config)

    def forward(self, h_BNH: Tensor) -> Tensor:
        raw_BNKQ = self.out(self.body(h_BNH)).unflatten(-1, (self.horizons, len(self.levels)))
        below, centre, above = raw_BNKQ.tensor_split((self.median, self.median + 1), dim=-1)
        down = functional.softplus(below).flip(-1).cumsum(-1).flip(-1)
        up = functional.softplus(above).cumsum(-1)
        return torch.cat([centre - down, centre, centre + up], dim=-1)

    def extra_repr(self) -> str:
        return f"levels={self.levels}"
