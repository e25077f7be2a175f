"""The last day alone."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from model.protocols import BlockConfig, Sizes


class LastDayConfig(BlockConfig):
    kind: Literal["identity"] = "identity"

    def build(self, sizes: Sizes) -> nn.Module:
        return LastDay()


class LastDay(nn.Module):
    """([B, N, L, H], [B, N, L], [B, N]) -> [B, N, H]."""

    def forward(self, x_BNLH: Tensor, mask_BNL: Tensor, sector_BN: Tensor) -> Tensor:
        return x_BNLH[:, :, -1]
