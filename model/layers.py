"""Layers that more than one block is made of."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class GatedResidual(nn.Module):
    """Gated residual connection with LayerNorm (Lim et al. 2021, eq. 2 and 5): LayerNorm(x + GLU(W dropout(y)))."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.gate = nn.Linear(hidden, 2 * hidden)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Both [.., H] -> [.., H]."""
        return self.norm(x + functional.glu(self.gate(self.dropout(y)), dim=-1))


class LastQuery(nn.Module):
    """Attention weights of one query over a window, per head (Vaswani et al. 2017, eq. 1, read at one position).

    Keys are linear in the states, hence folded into the query: the same numbers without a projection per day.

        w = softmax_l((W_k^T W_q q) . s_l / sqrt(d))  over the observed days
    """

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        if hidden % heads:
            raise ValueError(f"the encoder's heads must divide the hidden size {hidden}, got {heads}")
        self.heads = heads
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Parameter(torch.empty(heads, hidden // heads, hidden))
        nn.init.uniform_(self.key, -1 / math.sqrt(hidden), 1 / math.sqrt(hidden))

    def forward(self, query_MH: Tensor, states_MLH: Tensor, mask_ML: Tensor, place_LH: Tensor | None = None) -> Tensor:
        """[M, heads, L]; a place embedding, where given, is added to the states' keys."""
        query_MAD = self.query(query_MH).unflatten(-1, (self.heads, -1))
        folded_MAH = torch.einsum("mad,adh->mah", query_MAD, self.key)
        logits = [(states_MLH * q_MH.unsqueeze(1)).sum(dim=-1) for q_MH in folded_MAH.unbind(1)]
        logits_MAL = torch.stack(logits, dim=1)
        if place_LH is not None:
            logits_MAL = logits_MAL + folded_MAH @ place_LH.T
        return masked_softmax(logits_MAL / math.sqrt(query_MAD.shape[-1]), mask_ML.unsqueeze(1))


def recurrent(rnn: nn.RNNBase, x: Tensor, start: Any = None) -> Tensor:
    """States of a recurrent layer, [M, L, H] -> [M, L, H].

    In full precision on a CPU, whatever autocast says: most have no half-precision recurrence, and it fails.
    """
    with torch.autocast("cpu", enabled=False):
        states: Tensor = rnn(x.float(), start)[0] if x.device.type == "cpu" else rnn(x, start)[0]
    return states


def masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where `mask` is true; a row with no true entry becomes all zeros, never NaN."""
    floor = torch.finfo(logits.dtype).min  # of the type in force, so that half precision does not overflow
    weights = torch.softmax(logits.masked_fill(~mask, floor), dim=-1)
    return weights * mask
