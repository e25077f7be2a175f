"""The first K channels are the predictions: a head with nothing to learn."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from model.head.body import POINT
from model.protocols import BlockConfig, Sizes


class IdentityHeadConfig(BlockConfig):
    kind: Literal["identity"] = "identity"
    levels: ClassVar[tuple[float, ...]] = POINT

    def build(self, sizes: Sizes) -> nn.Module:
        if sizes.hidden < sizes.horizons:
            raise ValueError(
                f"an identity head needs a channel per horizon: {sizes.horizons} horizons, hidden {sizes.hidden}. "
                f"Raise hidden, or choose another head."
            )
        return IdentityHead(sizes.horizons)


class IdentityHead(nn.Module):
    """[B, N, H] -> [B, N, K, 1]."""

    levels = POINT

    def __init__(self, horizons: int) -> None:
        super().__init__()
        self.horizons = horizons

    def forward(self, h_BNH: Tensor) -> Tensor:
        return h_BNH[..., : self.horizons].unsqueeze(-1)
