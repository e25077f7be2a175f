"""FAN, then SAN on what FAN leaves: frequencies first, slice statistics of the residual second."""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor, nn

from model.norm.fan import FAN, FANConfig, FANStatistics
from model.norm.san import SAN, SANConfig, SANStatistics
from model.protocols import NormBlockConfig, Sizes


class FANSANConfig(NormBlockConfig):
    kind: Literal["fan_san"] = "fan_san"
    fan: FANConfig = FANConfig()
    san: SANConfig = SANConfig()

    def build(self, sizes: Sizes) -> nn.Module:
        fan = FAN(sizes.window, sizes.hidden, self.fan.top_k, self.fan.predictor)
        return FANSAN(fan, SAN(sizes.window, sizes.hidden, self.san.slice_length))


class BothStatistics(NamedTuple):
    main: FANStatistics
    slices: SANStatistics  # of the residual


class FANSAN(nn.Module):
    """[B, N, L, H] -> [B, N, L, H]."""

    def __init__(self, fan: FAN, san: SAN) -> None:
        super().__init__()
        self.fan, self.san = fan, san

    def normalize(self, x_BNLH: Tensor) -> tuple[Tensor, BothStatistics]:
        residual, main = self.fan.normalize(x_BNLH)
        y, slices = self.san.normalize(residual)
        return y, BothStatistics(main, slices)

    def restore(self, h_BNH: Tensor, stats: BothStatistics) -> Tensor:
        return self.fan.restore(self.san.restore(h_BNH, stats.slices), stats.main)

    def auxiliary_loss(self, stats: BothStatistics, next_BNH: Tensor, mask_BN: Tensor) -> Tensor:
        """FAN answers for the next value, SAN for what FAN's prediction leaves of it."""
        residual = next_BNH - stats.main.judged.detach()
        return self.fan.auxiliary_loss(stats.main, next_BNH, mask_BN) + self.san.auxiliary_loss(
            stats.slices, residual, mask_BN
        )

    def removed(self, x_BNLH: Tensor) -> dict[str, Tensor]:
        """Of FAN by its names, and of SAN from what FAN leaves."""
        return self.fan.removed(x_BNLH) | self.san.removed(self.fan.normalize(x_BNLH)[0])
