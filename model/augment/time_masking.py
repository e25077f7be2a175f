"""Time masking (SpecAugment: Park et al. 2019): in training, a run of days of a stock's window is set to its mean.

The last day is never among them, because it is what is predicted from.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from model.augment.runs import random_runs
from model.protocols import BlockConfig, Sizes


class TimeMaskingConfig(BlockConfig):
    kind: Literal["time_masking"] = "time_masking"
    probability: float = Field(0.3, gt=0, le=1, description="share of windows that lose a run of days")
    width: float = Field(0.2, gt=0, le=1, description="longest run, as a share of the window before its last day")

    def build(self, sizes: Sizes) -> nn.Module:
        return TimeMasking(self.probability, self.width)


class TimeMasking(nn.Module):
    """[B, N, L, H] -> [B, N, L, H]; the identity in evaluation."""

    def __init__(self, probability: float, width: float) -> None:
        super().__init__()
        self.probability, self.width = probability, width

    def run(self, batch: torch.Size, window: int, device: torch.device) -> Tensor:
        """Random masks [*batch, L]: True on one run of days before the last, with the given probability."""
        runs = random_runs(batch, window - 1, self.width, self.probability, device)
        return functional.pad(runs, (0, 1))

    def forward(self, x_BNLH: Tensor) -> Tensor:
        if not self.training:
            return x_BNLH
        masked_BNL = self.run(x_BNLH.shape[:2], x_BNLH.shape[2], x_BNLH.device)
        return torch.where(masked_BNL.unsqueeze(-1), x_BNLH.mean(dim=2, keepdim=True), x_BNLH)

    def extra_repr(self) -> str:
        return f"probability={self.probability}, width={self.width}"
