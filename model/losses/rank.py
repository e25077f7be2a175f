"""A differentiable rank loss per day: one minus the correlation of soft ranks (after Qin, Liu & Li 2010) with ranks.

    s = standardised scores,    r_i = sum_j sigmoid((s_i - s_j) / temperature),    loss = 1 - corr(r, rank(y))

Scores are standardised within the day first, so that neither their mean nor their scale can lower the loss: a loss of
ranks alone lets the scale drift.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.losses.daily import mean_over_days, standardised


def rank_loss_by_horizon(score_BNK: Tensor, target_BNK: Tensor, mask_BNK: Tensor, temperature: float) -> Tensor:
    """One minus the daily soft Spearman correlation, mean over days, per horizon: [K]; 0 is perfect, 1 is chance.

    A day whose scores or targets are constant counts nothing. Memory is B * K * N^2.
    """
    standard_BNK, _ = standardised(score_BNK, mask_BNK)
    soft_BNK = _soft_ranks(standard_BNK, mask_BNK, temperature)
    ours_BNK, has_spread_BK = standardised(soft_BNK, mask_BNK)
    theirs_BNK, has_order_BK = standardised(_ranks(target_BNK, mask_BNK), mask_BNK)
    usable_BNK = mask_BNK & (has_spread_BK & has_order_BK).unsqueeze(1)
    return mean_over_days(1 - ours_BNK * theirs_BNK, usable_BNK)


def _soft_ranks(standard_BNK: Tensor, mask_BNK: Tensor, temperature: float) -> Tensor:
    s_BKN, mask_BKN = standard_BNK.transpose(1, 2), mask_BNK.transpose(1, 2)
    above_BKNN = torch.sigmoid((s_BKN.unsqueeze(-1) - s_BKN.unsqueeze(-2)) / temperature)
    return (above_BKNN * mask_BKN.unsqueeze(-2)).sum(dim=-1).transpose(1, 2)


def _ranks(target_BNK: Tensor, mask_BNK: Tensor) -> Tensor:
    """Average ranks of the labelled stocks of each day, ties shared: the number below plus half of those equal."""
    last = torch.finfo(target_BNK.dtype).max
    y_BKN = target_BNK.where(mask_BNK, last).transpose(1, 2).contiguous()
    ordered = y_BKN.sort(dim=-1).values
    below = torch.searchsorted(ordered, y_BKN) + torch.searchsorted(ordered, y_BKN, right=True)
    return (below / 2).to(target_BNK.dtype).transpose(1, 2)
