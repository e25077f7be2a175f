"""What the heads share: one hidden layer for all horizons, LayerScale, and a start near zero."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from model.protocols import BlockConfig

SMALL_DEVIATION = 0.01
MEDIAN = 0.5
POINT = (MEDIAN,)  # the level of a head that predicts one number


class HeadConfig(BlockConfig):
    """Settings of every head that learns."""

    dropout: float = Field(0.3, ge=0, lt=1)
    small_init: bool = Field(True, description="start the output layer near zero: truncated normal 0.01, no bias")
    layer_scale: float | None = Field(
        None, gt=0, description="start of LayerScale's factor per channel (Touvron et al. 2021); null is off"
    )


class Body(nn.Module):
    """[.., H] -> [.., H]: dense, GELU, dropout, LayerScale where it is on."""

    def __init__(self, hidden: int, config: HeadConfig) -> None:
        super().__init__()
        self.dense = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.Dropout(config.dropout))
        self.scale = LayerScale(hidden, config.layer_scale) if config.layer_scale is not None else nn.Identity()

    def forward(self, h: Tensor) -> Tensor:
        return self.scale(self.dense(h))


class LayerScale(nn.Module):
    """gamma * h, one factor per channel that starts small (Touvron et al. 2021, eq. 4): [.., H] -> [.., H]."""

    def __init__(self, hidden: int, start: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((hidden,), start))

    def forward(self, h: Tensor) -> Tensor:
        return self.gamma * h


def output_layer(hidden: int, outputs: int, config: HeadConfig) -> nn.Linear:
    """[.., H] -> [.., outputs]; with `small_init`, its first outputs are near zero, as the targets' mean is."""
    layer = nn.Linear(hidden, outputs)
    if config.small_init:
        nn.init.trunc_normal_(layer.weight, std=SMALL_DEVIATION)
        nn.init.zeros_(layer.bias)
    return layer
