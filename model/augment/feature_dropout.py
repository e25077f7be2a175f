"""Feature dropout: in training, whole channels of a stock's window are left out (Tompson et al. 2015, over channels).

y = m * x / (1 - p),    m = 0 on a share p of (stock, channel), the same on every day of the window
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from model.protocols import BlockConfig, Sizes


class FeatureDropoutConfig(BlockConfig):
    kind: Literal["feature_dropout"] = "feature_dropout"
    probability: float = Field(0.1, gt=0, lt=1, description="share of channels that are left out")

    def build(self, sizes: Sizes) -> nn.Module:
        return FeatureDropout(self.probability)


class FeatureDropout(nn.Module):
    """[B, N, L, H] -> [B, N, L, H]; the identity in evaluation."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x_BNLH: Tensor) -> Tensor:
        if not self.training:
            return x_BNLH
        kept_BNH = functional.dropout(x_BNLH.new_ones(x_BNLH[:, :, 0].shape), self.probability)
        return x_BNLH * kept_BNH.unsqueeze(2)

    def extra_repr(self) -> str:
        return f"probability={self.probability}"
