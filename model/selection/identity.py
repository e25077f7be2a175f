"""All features pass."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from model.protocols import BlockConfig, Sizes


class IdentitySelectionConfig(BlockConfig):
    kind: Literal["identity"] = "identity"

    def build(self, sizes: Sizes) -> nn.Module:
        return IdentitySelection()


class IdentitySelection(nn.Module):
    """[T, N, F] -> [T, N, F]."""

    def weights(self, x_TNF: Tensor) -> Tensor:
        return torch.ones_like(x_TNF)

    def forward(self, x_TNF: Tensor) -> Tensor:
        return x_TNF
