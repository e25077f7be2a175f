"""Three convolution and pooling stages, a GRU (Cho et al. 2014) over what is left, and masked attention pooling.

Each stage halves the window: conv, GroupNorm, GELU, max-pooling by two, padded on the side of the oldest day so that no
day is lost. The mask is pooled exactly as often as the signal, so that a pooled place counts as observed where any of
its days is. A window of 90 leaves 12 places.

    out = sum_t softmax_t(v . tanh(W s_t)) s_t  over the observed places
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from model.layers import masked_softmax, recurrent
from model.protocols import BlockConfig, Sizes

KERNELS = (7, 5, 3)  # days, one per stage
SHORTEST = 2 ** len(KERNELS) + 1  # window that leaves two places, so that the recurrence has a step


class ConvRNNConfig(BlockConfig):
    kind: Literal["conv_rnn"] = "conv_rnn"
    dropout: float = Field(0.3, ge=0, lt=1)

    def build(self, sizes: Sizes) -> nn.Module:
        return ConvRNN(sizes.hidden, sizes.window, self.dropout)


class ConvRNN(nn.Module):
    """([B, N, L, H], observed [B, N, L], [B, N]) -> [B, N, H]."""

    def __init__(self, hidden: int, window: int, dropout: float) -> None:
        super().__init__()
        if window < SHORTEST:
            raise ValueError(
                f"conv_rnn halves the window {len(KERNELS)} times, so it needs {SHORTEST} days; got {window}. Choose a "
                f"longer window, or another temporal block."
            )
        self.convolutions = nn.ModuleList(nn.Conv1d(hidden, hidden, size, padding=size // 2) for size in KERNELS)
        self.norms = nn.ModuleList(nn.GroupNorm(1, hidden) for _ in KERNELS)
        self.dropout = nn.Dropout(dropout)
        self.rnn = nn.GRU(hidden, hidden, batch_first=True)
        self.score = nn.Sequential(nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1, bias=False))

    def forward(self, x_BNLH: Tensor, mask_BNL: Tensor, sector_BN: Tensor) -> Tensor:
        mask_ML = mask_BNL.flatten(0, 1)
        pooled_MPH, mask_MP = self.pooled(x_BNLH.flatten(0, 1) * mask_ML.unsqueeze(-1), mask_ML)
        states_MPH = recurrent(self.rnn, self.dropout(pooled_MPH))
        weights_MP = masked_softmax(self.score(states_MPH).squeeze(-1), mask_MP)
        return (weights_MP.unsqueeze(-1) * states_MPH).sum(dim=1).unflatten(0, x_BNLH.shape[:2])

    def pooled(self, x_MLH: Tensor, mask_ML: Tensor) -> tuple[Tensor, Tensor]:
        """[M, L, H] and [M, L] -> [M, P, H] and [M, P], P = L / 8 rounded up."""
        x_MHL, mask = x_MLH.transpose(1, 2), mask_ML.to(x_MLH.dtype)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x_MHL = _halved(functional.gelu(norm(convolution(x_MHL))), torch.finfo(x_MHL.dtype).min)
            mask = _halved(mask, 0.0)
        return x_MHL.transpose(1, 2), mask > 0


def _halved(x: Tensor, blank: float) -> Tensor:
    """The larger of each two days, [.., L] -> [.., ceil(L / 2)]; a single oldest day stands by itself."""
    return functional.max_pool1d(functional.pad(x, (x.shape[-1] % 2, 0), value=blank), 2)
