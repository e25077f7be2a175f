"""Multi-head attention of the last day over its window (Vaswani et al. 2017), with learned places.

out = LayerNorm(x_L + GLU(W_o [head_1 .. head_A])),    head_a = W_v^a sum_l softmax_l(q_a . (k_l + W_k^a p_l)) x_l
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from model.layers import GatedResidual, LastQuery
from model.protocols import BlockConfig, Sizes


class AttentionConfig(BlockConfig):
    kind: Literal["attention"] = "attention"
    heads: int = Field(4, ge=1, description="attention heads; must divide the hidden size")
    dropout: float = Field(0.3, ge=0, lt=1)

    def build(self, sizes: Sizes) -> nn.Module:
        return AttentionEncoder(sizes.hidden, sizes.window, self.heads, self.dropout)


class AttentionEncoder(nn.Module):
    """([B, N, L, H], observed [B, N, L], [B, N]) -> [B, N, H]."""

    def __init__(self, hidden: int, window: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = LastQuery(hidden, heads)
        self.place_LH = nn.Parameter(torch.randn(window, hidden) / math.sqrt(hidden))
        self.value = nn.Parameter(torch.empty(heads, hidden, hidden // heads))
        self.out = nn.Linear(hidden, hidden)
        self.after = GatedResidual(hidden, dropout)
        nn.init.uniform_(self.value, -1 / math.sqrt(hidden), 1 / math.sqrt(hidden))

    def forward(self, x_BNLH: Tensor, mask_BNL: Tensor, sector_BN: Tensor) -> Tensor:
        x_MLH, mask_ML = x_BNLH.flatten(0, 1), mask_BNL.flatten(0, 1)
        last_MH = x_MLH[:, -1]
        weights_MAL = self.attention(last_MH, x_MLH, mask_ML, self.place_LH)
        heads_MAD = torch.einsum("mah,ahd->mad", weights_MAL @ x_MLH, self.value)
        return self.after(last_MH, self.out(heads_MAD.flatten(1))).unflatten(0, x_BNLH.shape[:2])
