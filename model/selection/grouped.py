"""Grouped variable selection: a gated residual network per group of neighbouring features weighs its group and, within
it, its features (after Lim et al. 2021, eq. 6-8, with groups in the place of features).

    w_j = F * softmax_g(u)_g(j) * softmax_(i in g)(v)_j,    (u_g, v_g) = R_g GRN_g(x_g),    y = w * x

About F / size networks in the place of F; features of one kind stand next to each other in the store.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from model.protocols import BlockConfig, Sizes
from model.selection.grn import GRNBank


class GroupedSelectionConfig(BlockConfig):
    kind: Literal["grouped"] = "grouped"
    group_size: int = Field(8, ge=2, description="features per group; the last group may have fewer")
    width: int = Field(16, ge=2, le=4096, description="channels of each group's network")

    def build(self, sizes: Sizes) -> nn.Module:
        return GroupedSelection(sizes.features, self.group_size, self.width)


class GroupedSelection(nn.Module):
    """[T, N, F] -> [T, N, F]."""

    is_feature: Tensor  # [G, S]: the places of the last group that no feature fills are False

    def __init__(self, features: int, group_size: int, width: int) -> None:
        super().__init__()
        self.features, self.group_size = features, group_size
        groups = math.ceil(features / group_size)
        self.networks = GRNBank(groups, group_size, width, 1 + group_size)
        place = torch.arange(groups * group_size).unflatten(0, (groups, group_size))
        self.register_buffer("is_feature", place < features, persistent=False)

    def weights(self, x_TNF: Tensor) -> Tensor:
        """Selection weights per (day, stock), mean one over features: [T, N, F]."""
        padded_RGS = self._padded(x_TNF.flatten(0, 1)).unflatten(-1, (-1, self.group_size))
        group_RG1, within_RGS = self.networks(padded_RGS).split((1, self.group_size), dim=-1)
        within_RGS = within_RGS.masked_fill(~self.is_feature, torch.finfo(within_RGS.dtype).min)
        weights_RGS = torch.softmax(group_RG1, dim=1) * torch.softmax(within_RGS, dim=-1)
        return weights_RGS.flatten(1)[:, : self.features].unflatten(0, x_TNF.shape[:2]) * self.features

    def forward(self, x_TNF: Tensor) -> Tensor:
        return self.weights(x_TNF) * x_TNF

    def _padded(self, x_RF: Tensor) -> Tensor:
        return functional.pad(x_RF, (0, self.is_feature.numel() - self.features))
