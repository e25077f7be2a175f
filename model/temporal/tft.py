"""Temporal fusion encoder (Lim et al. 2021, sections 4.3, 4.5): sector context, LSTM, interpretable attention.

An unobserved day is no input. There is no position-wise network behind the attention (eq. 20): graph and head follow.
Only the last day is predicted from, so causal self-attention is read at its last position alone: one query, the
enriched last state, over the observed days of the window. The value projection is applied to the weighted mean, which
gives the same numbers without a projection per day of the window:

    h_0, c_0 = tanh(W_h c), W_c c,          c = embedding of the sector
    s_1 .. s_L = LSTM(x),                   z = GateNorm(x_L, s_L)
    q = GateNorm(z, W_2 elu(W_1 z + W_3 c))
    out = GateNorm(q, W_o W_v sum_l a_l s_l),   a = mean over heads of softmax_l((W_k s_l) . (W_q q) / sqrt(d))
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from model.layers import GatedResidual, LastQuery, recurrent
from model.protocols import BlockConfig, Sizes


class TFTConfig(BlockConfig):
    kind: Literal["tft"] = "tft"
    heads: int = Field(2, ge=1, description="attention heads; must divide the hidden size")
    dropout: float = Field(0.3, ge=0, lt=1)

    def build(self, sizes: Sizes) -> nn.Module:
        return TFTEncoder(sizes, self.heads, self.dropout)


class TFTEncoder(nn.Module):
    """([B, N, L, H], observed [B, N, L], sector [B, N]) -> [B, N, H]."""

    def __init__(self, sizes: Sizes, heads: int, dropout: float) -> None:
        super().__init__()
        hidden = sizes.hidden
        self.sector = nn.Embedding(sizes.sectors, hidden)
        self.start = nn.Linear(hidden, 2 * hidden)
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self.after_lstm = GatedResidual(hidden, dropout)
        self.enrichment = Enrichment(hidden, dropout)
        self.attention = LastQuery(hidden, heads)
        self.value = nn.Linear(hidden, hidden // heads)  # shared by the heads, which makes them interpretable
        self.out = nn.Linear(hidden // heads, hidden)
        self.after_attention = GatedResidual(hidden, dropout)

    def forward(self, x_BNLH: Tensor, mask_BNL: Tensor, sector_BN: Tensor) -> Tensor:
        mask_ML = mask_BNL.flatten(0, 1)
        x_MLH = x_BNLH.flatten(0, 1) * mask_ML.unsqueeze(-1)  # an unobserved day is no input
        context_MH = self.sector(sector_BN.flatten())
        states_MLH, query_MH = self.read(x_MLH, context_MH)
        weights_ML = self.attention(query_MH, states_MLH, mask_ML).mean(dim=1)
        attended_MH = (weights_ML.unsqueeze(-1) * states_MLH).sum(dim=1)
        fused_MH = self.after_attention(query_MH, self.out(self.value(attended_MH)))
        return fused_MH.unflatten(0, x_BNLH.shape[:2])

    def read(self, x_MLH: Tensor, context_MH: Tensor) -> tuple[Tensor, Tensor]:
        """The LSTM's states [M, L, H], and the enriched last one [M, H]."""
        hidden_MH, cell_MH = self.start(context_MH).chunk(2, dim=-1)
        start = hidden_MH.tanh().float().unsqueeze(0), cell_MH.float().contiguous().unsqueeze(0)
        states_MLH = recurrent(self.lstm, x_MLH, start)
        last_MH = self.after_lstm(x_MLH[:, -1], states_MLH[:, -1])
        return states_MLH, self.enrichment(last_MH, context_MH)


class Enrichment(nn.Module):
    """Static enrichment (eq. 17): a gated residual network with context. ([M, H], [M, H]) -> [M, H]."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.own = nn.Linear(hidden, hidden)
        self.context = nn.Linear(hidden, hidden, bias=False)
        self.mixed = nn.Linear(hidden, hidden)
        self.gate = GatedResidual(hidden, dropout)

    def forward(self, z_MH: Tensor, context_MH: Tensor) -> Tensor:
        return self.gate(z_MH, self.mixed(functional.elu(self.own(z_MH) + self.context(context_MH))))
