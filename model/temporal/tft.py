"""Temporal fusion encoder (Lim et al. 2021, section 4.5): an LSTM, then interpretable multi-head attention.

Only the last day is predicted from, so causal self-attention is read at its last position alone: one query, the gated
last state, over the observed days of the window. Keys and values are linear in the states, hence folded into the query
and applied to the weighted mean, which gives the same numbers without a projection per day of the window:

    logits_l = (W_k^T q) . s_l / sqrt(d),    out = W_o W_v (mean over heads of sum_l a_l s_l)
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from model.layers import GatedResidual, masked_softmax
from model.protocols import BlockConfig, Sizes


class TFTConfig(BlockConfig):
    kind: Literal["tft"] = "tft"
    heads: int = Field(2, ge=1, description="attention heads; must divide the hidden size")
    dropout: float = Field(0.3, ge=0, lt=1)

    def build(self, sizes: Sizes) -> nn.Module:
        return TFTEncoder(sizes.hidden, self.heads, self.dropout)


class TFTEncoder(nn.Module):
    """([B, N, L, H], observed [B, N, L]) -> [B, N, H]."""

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        if hidden % heads:
            raise ValueError(f"the encoder's heads must divide the hidden size {hidden}, got {heads}")
        self.heads = heads
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self.after_lstm = GatedResidual(hidden, dropout)
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Parameter(torch.empty(heads, hidden // heads, hidden))
        self.value = nn.Linear(hidden, hidden // heads)  # shared by the heads, which makes them interpretable
        self.out = nn.Linear(hidden // heads, hidden)
        self.after_attention = GatedResidual(hidden, dropout)
        nn.init.uniform_(self.key, -1 / math.sqrt(hidden), 1 / math.sqrt(hidden))

    def forward(self, x_BNLH: Tensor, mask_BNL: Tensor) -> Tensor:
        x_MLH, mask_ML = x_BNLH.flatten(0, 1), mask_BNL.flatten(0, 1)
        states_MLH, _ = self.lstm(x_MLH)
        last_MH = self.after_lstm(x_MLH[:, -1], states_MLH[:, -1])
        weights_ML = self.attention(last_MH, states_MLH, mask_ML).mean(dim=1)
        attended_MH = (weights_ML.unsqueeze(-1) * states_MLH).sum(dim=1)
        fused_MH = self.after_attention(last_MH, self.out(self.value(attended_MH)))
        return fused_MH.unflatten(0, x_BNLH.shape[:2])

    def attention(self, last_MH: Tensor, states_MLH: Tensor, mask_ML: Tensor) -> Tensor:
        """Weights of the last day's query over the observed days: [M, heads, L]."""
        query_MAD = self.query(last_MH).unflatten(-1, (self.heads, -1))
        folded_MAH = torch.einsum("mad,adh->mah", query_MAD, self.key)
        logits = [(states_MLH * q_MH.unsqueeze(1)).sum(dim=-1) for q_MH in folded_MAH.unbind(1)]
        logits_MAL = torch.stack(logits, dim=1) / math.sqrt(query_MAD.shape[-1])
        return masked_softmax(logits_MAL, mask_ML.unsqueeze(1))
