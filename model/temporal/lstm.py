"""LSTM (Hochreiter & Schmidhuber 1997): the last state, gated onto the last day.

out = LayerNorm(x_L + GLU(W s_L)),    s_1 .. s_L = LSTM(x)
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from model.layers import GatedResidual, recurrent
from model.protocols import BlockConfig, Sizes


class LSTMConfig(BlockConfig):
    kind: Literal["lstm"] = "lstm"
    layers: int = Field(1, ge=1, le=3)
    dropout: float = Field(0.3, ge=0, lt=1)

    def build(self, sizes: Sizes) -> nn.Module:
        return LSTMEncoder(sizes.hidden, self.layers, self.dropout)


class LSTMEncoder(nn.Module):
    """([B, N, L, H], [B, N, L], [B, N]) -> [B, N, H]."""

    def __init__(self, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(hidden, hidden, layers, batch_first=True, dropout=between)
        self.after = GatedResidual(hidden, dropout)

    def forward(self, x_BNLH: Tensor, mask_BNL: Tensor, sector_BN: Tensor) -> Tensor:
        x_MLH = (x_BNLH * mask_BNL.unsqueeze(-1)).flatten(0, 1)  # an unobserved day is no input
        states_MLH = recurrent(self.lstm, x_MLH)
        return self.after(x_MLH[:, -1], states_MLH[:, -1]).unflatten(0, x_BNLH.shape[:2])
