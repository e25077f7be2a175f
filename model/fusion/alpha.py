"""Alpha fusion: one learned number is the neighbours' share, and a penalty keeps it from sinking below a floor.

f = (1 - alpha) h + alpha g,    alpha = sigmoid(a),    penalty = weight * relu(alpha_min - alpha)^2
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from model.protocols import BlockConfig, Penalties, Sizes


class AlphaFusionConfig(BlockConfig):
    kind: Literal["alpha"] = "alpha"
    alpha_init: float = Field(0.3, gt=0, lt=1, description="the neighbours' share at the start")
    alpha_min: float = Field(0.1, gt=0, lt=1, description="below it the share is penalised")
    alpha_penalty: float = Field(1.0, gt=0, description="weight of the penalty")

    @model_validator(mode="after")
    def _starts_above_the_floor(self) -> AlphaFusionConfig:
        if self.alpha_init < self.alpha_min:
            raise ValueError(
                f"alpha_init must be at least alpha_min, got {self.alpha_init} and {self.alpha_min}: the fusion would "
                f"start inside its penalty. Raise alpha_init or lower alpha_min."
            )
        return self

    def build(self, sizes: Sizes) -> nn.Module:
        return AlphaFusion(self.alpha_init, self.alpha_min, self.alpha_penalty)


class AlphaFusion(nn.Module):
    """([B, N, H], [B, N, H]) -> [B, N, H]."""

    def __init__(self, alpha_init: float, alpha_min: float, alpha_penalty: float) -> None:
        super().__init__()
        self.alpha_min, self.alpha_penalty = alpha_min, alpha_penalty
        self.logit = nn.Parameter(torch.tensor(math.log(alpha_init / (1 - alpha_init))))

    @property
    def alpha(self) -> Tensor:
        """The neighbours' share, 0 to 1: scalar."""
        return torch.sigmoid(self.logit)

    def share(self, own_BNH: Tensor, graph_BNH: Tensor) -> Tensor:
        """Alpha for everybody: [B, N, H]."""
        return self.alpha.to(own_BNH.dtype).expand_as(own_BNH)

    def forward(self, own_BNH: Tensor, graph_BNH: Tensor) -> Tensor:
        return own_BNH + self.alpha * (graph_BNH - own_BNH)

    def penalties(self) -> Penalties:
        return {"alpha_floor": self.alpha_penalty * torch.relu(self.alpha_min - self.alpha).square()}

    def extra_repr(self) -> str:
        return f"alpha_min={self.alpha_min}, alpha_penalty={self.alpha_penalty}"
