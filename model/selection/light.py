"""Light variable selection: one softmax gate over all features (after Lim et al. 2021, eq. 6, without the GRN bank).

    w = F * softmax(W2 elu(W1 x)),    y = w * x

The weights average to one, so the gate neither shrinks nor bounds the features, and a window keeps its scale.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from model.protocols import BlockConfig, Sizes


class LightSelectionConfig(BlockConfig):
    kind: Literal["light"] = "light"
    bottleneck: int = Field(16, ge=1, description="width of the gate's hidden layer")

    def build(self, sizes: Sizes) -> nn.Module:
        return LightSelection(sizes.features, self.bottleneck)


class LightSelection(nn.Module):
    """[T, N, F] -> [T, N, F]."""

    def __init__(self, features: int, bottleneck: int) -> None:
        super().__init__()
        self.inner = nn.Linear(features, bottleneck)
        self.outer = nn.Linear(bottleneck, features)

    def logits(self, x_TNF: Tensor) -> Tensor:
        """What the softmax over features is taken of: [T, N, F]."""
        return self.outer(functional.elu(self.inner(x_TNF)))

    def weights(self, x_TNF: Tensor) -> Tensor:
        """Selection weights per (day, stock), mean one over features: [T, N, F]."""
        return torch.softmax(self.logits(x_TNF), dim=-1) * x_TNF.shape[-1]

    def forward(self, x_TNF: Tensor) -> Tensor:
        return self.weights(x_TNF) * x_TNF
