"""Losses over daily cross-sections: the mean over days of each day's masked mean."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def huber_by_horizon(score_BNK: Tensor, target_BNK: Tensor, mask_BNK: Tensor, delta: float) -> Tensor:
    """Huber loss (1964) per horizon: [K]. A horizon or day without a label contributes nothing.

    Divided by min(delta, 1), so that a small delta (nearly the absolute error) keeps gradients of order one.
    """
    each = functional.huber_loss(score_BNK, target_BNK, reduction="none", delta=delta) / min(delta, 1.0)
    count_BK = mask_BNK.sum(dim=1)
    daily_BK = each.where(mask_BNK, 0.0).sum(dim=1) / count_BK.clamp(min=1)
    days_K = (count_BK > 0).sum(dim=0)
    return daily_BK.sum(dim=0) / days_K.clamp(min=1)


def weighted(by_horizon_K: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Weighted mean over horizons: scalar."""
    weight = torch.tensor(weights, dtype=by_horizon_K.dtype, device=by_horizon_K.device)
    return (by_horizon_K * weight).sum() / weight.sum()
