"""Layers that more than one block is made of."""

from __future__ import annotations

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


def masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where `mask` is true; a row with no true entry becomes all zeros, never NaN."""
    floor = torch.finfo(logits.dtype).min
    weights = torch.softmax(logits.masked_fill(~mask, floor), dim=-1)
    return weights * mask
