"""Reversible instance normalisation (Kim et al., ICLR 2022).

Each window and channel is centred and scaled by its own mean and deviation, with a learned affine map per channel. The
statistics of the day to come are taken to be those of the window, so there is nothing to predict.

    y = gamma * (x - m) / sqrt(v + eps^2) + beta
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from model.norm.restoring import mean_restoring
from model.norm.san import EPSILON
from model.protocols import NormBlockConfig, Sizes


class RevINConfig(NormBlockConfig):
    predicts = False
    kind: Literal["revin"] = "revin"

    def build(self, sizes: Sizes) -> nn.Module:
        return RevIN(sizes.hidden)


class WindowStatistics(NamedTuple):
    """Each [B, N, H]."""

    mean: Tensor
    deviation: Tensor


class RevIN(nn.Module):
    """[B, N, L, H] -> [B, N, L, H]."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(hidden)), nn.Parameter(torch.zeros(hidden))
        self.restoring = mean_restoring(hidden)

    def normalize(self, x_BNLH: Tensor) -> tuple[Tensor, WindowStatistics]:
        mean = x_BNLH.mean(dim=2, keepdim=True)
        centred = x_BNLH - mean
        deviation = (centred.square().mean(dim=2, keepdim=True) + EPSILON**2).sqrt()
        return self.gamma * centred / deviation + self.beta, WindowStatistics(mean.squeeze(2), deviation.squeeze(2))

    def restore(self, h_BNH: Tensor, stats: WindowStatistics) -> Tensor:
        return h_BNH + self.restoring(torch.cat(stats, dim=-1))

    def auxiliary_loss(self, stats: WindowStatistics, next_BNH: Tensor, mask_BN: Tensor) -> Tensor:
        return next_BNH.new_zeros(())

    def removed(self, x_BNLH: Tensor) -> dict[str, Tensor]:
        """`mean` and `deviation` of the window, each [B, N, H]."""
        return self.normalize(x_BNLH)[1]._asdict()
