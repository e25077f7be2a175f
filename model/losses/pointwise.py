"""Losses of single predictions, as means over days per horizon: squared error, Huber, quantile."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from model.losses.daily import mean_over_days


def mse_by_horizon(score_BNK: Tensor, target_BNK: Tensor, mask_BNK: Tensor) -> Tensor:
    """Squared error per horizon: [K]."""
    return mean_over_days((score_BNK - target_BNK).square(), mask_BNK)


def huber_by_horizon(score_BNK: Tensor, target_BNK: Tensor, mask_BNK: Tensor, delta: float) -> Tensor:
    """Huber loss (1964) per horizon: [K].

    Divided by min(delta, 1), so that a small delta (nearly the absolute error) keeps gradients of order one.
    """
    each = functional.huber_loss(score_BNK, target_BNK, reduction="none", delta=delta) / min(delta, 1.0)
    return mean_over_days(each, mask_BNK)


def quantile_by_horizon(level_BNKQ: Tensor, target_BNK: Tensor, mask_BNK: Tensor, levels: tuple[float, ...]) -> Tensor:
    """Pinball loss (Koenker & Bassett 1978), mean over quantiles, per horizon: [K].

    max(q (y - f), (q - 1) (y - f))
    """
    level = torch.tensor(levels, dtype=level_BNKQ.dtype, device=level_BNKQ.device)
    above = target_BNK.unsqueeze(-1) - level_BNKQ
    return mean_over_days(torch.maximum(level * above, (level - 1) * above).mean(dim=-1), mask_BNK)
