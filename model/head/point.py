"""Multi-horizon point head: one hidden layer shared by the horizons, one output each."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from model.head.body import POINT, Body, HeadConfig, output_layer
from model.protocols import Sizes


class PointHeadConfig(HeadConfig):
    kind: Literal["point"] = "point"
    levels: ClassVar[tuple[float, ...]] = POINT

    def build(self, sizes: Sizes) -> nn.Module:
        return PointHead(sizes.hidden, sizes.horizons, self)


class PointHead(nn.Module):
    """[B, N, H] -> [B, N, K, 1]."""

    levels = POINT

    def __init__(self, hidden: int, horizons: int, config: HeadConfig) -> None:
        super().__init__()
        self.body = Body(hidden, config)
        self.out = output_layer(hidden, horizons, config)

    def forward(self, h_BNH: Tensor) -> Tensor:
        return self.out(self.body(h_BNH)).unsqueeze(-1)
