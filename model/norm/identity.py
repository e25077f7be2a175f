"""No normalisation: windows pass, nothing is predicted, nothing is restored."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from model.protocols import NormBlockConfig, Sizes


class IdentityNormConfig(NormBlockConfig):
    predicts = False
    kind: Literal["identity"] = "identity"

    def build(self, sizes: Sizes) -> nn.Module:
        return IdentityNorm()


class IdentityNorm(nn.Module):
    def normalize(self, x_BNLH: Tensor) -> tuple[Tensor, None]:
        return x_BNLH, None

    def restore(self, h_BNH: Tensor, stats: None) -> Tensor:
        return h_BNH

    def auxiliary_loss(self, stats: None, next_BNH: Tensor, mask_BN: Tensor) -> Tensor:
        return next_BNH.new_zeros(())

    def removed(self, x_BNLH: Tensor) -> dict[str, Tensor]:
        return {}
