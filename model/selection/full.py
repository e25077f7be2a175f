"""Full variable selection (Lim et al. 2021, eq. 6-8): one gated residual network per feature, and one over all.

    w = F * softmax(u + R GRN(W_0 x)),    u_j = r_j . GRN_j(w_j x_j + b_j),    y = w * x

As in the paper the weights depend on what each feature's own network makes of it and on all features together. Unlike
there, what is weighed is the feature and not the network's normalised output: that would erase the scale of a window
before the normalisers see it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from model.protocols import BlockConfig, Sizes
from model.selection.grn import GRNBank
from model.selection.light import LightSelection


class FullSelectionConfig(BlockConfig):
    kind: Literal["full"] = "full"
    width: int = Field(16, ge=2, le=4096, description="channels of each feature's network")
    bottleneck: int = Field(16, ge=2, description="channels of the network over all features")

    def build(self, sizes: Sizes) -> nn.Module:
        return FullSelection(sizes.features, self.width, self.bottleneck)


class FullSelection(LightSelection):
    """[T, N, F] -> [T, N, F]."""

    def __init__(self, features: int, width: int, bottleneck: int) -> None:
        super().__init__(features, bottleneck)
        self.networks = GRNBank(features, 1, width, 1)

    def logits(self, x_TNF: Tensor) -> Tensor:
        own_RF = self.networks(x_TNF.flatten(0, 1).unsqueeze(-1)).squeeze(-1)
        return super().logits(x_TNF) + own_RF.unflatten(0, x_TNF.shape[:2])
