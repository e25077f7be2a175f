"""Light variable selection: one softmax gate over all features (after Lim et al. 2021, eq. 6).

    w = F * softmax(R GRN(W_0 x)),    y = w * x

It is the network that the paper weighs its features with, without those of the features. The weights average to one, so
the gate neither shrinks nor bounds the features, and a window keeps its scale.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from model.protocols import BlockConfig, Sizes
from model.selection.grn import GRNBank


class LightSelectionConfig(BlockConfig):
    kind: Literal["light"] = "light"
    bottleneck: int = Field(16, ge=2, description="channels of the gated residual network")

    def build(self, sizes: Sizes) -> nn.Module:
        return LightSelection(sizes.features, self.bottleneck)


class LightSelection(nn.Module):
    """[T, N, F] -> [T, N, F]."""

    def __init__(self, features: int, bottleneck: int) -> None:
        super().__init__()
        self.joint = GRNBank(1, features, bottleneck, features)

    def logits(self, x_TNF: Tensor) -> Tensor:
        """What the softmax over features is taken of: [T, N, F]."""
        return self.joint(x_TNF.flatten(0, 1).unsqueeze(1)).view_as(x_TNF)

    def weights(self, x_TNF: Tensor) -> Tensor:
        """Selection weights per (day, stock), mean one over features: [T, N, F]."""
        return torch.softmax(self.logits(x_TNF), dim=-1) * x_TNF.shape[-1]

    def forward(self, x_TNF: Tensor) -> Tensor:
        return self.weights(x_TNF) * x_TNF
