"""The mean over days of each day's masked mean: the one way in which errors of stocks become a loss."""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-6  # floor of a deviation: below it a day's values are one value


def mean_over_days(each_BNK: Tensor, mask_BNK: Tensor) -> Tensor:
    """[K]. A day counts once, however many stocks it has; one without a label adds nothing.

    It is divided by the block's days, labelled or not, so that a step's loss does not depend on how its days are cut
    into blocks.
    """
    daily_BK = each_BNK.where(mask_BNK, 0.0).sum(dim=1) / mask_BNK.sum(dim=1).clamp(min=1)
    return daily_BK.mean(dim=0)


def standardised(values_BNK: Tensor, mask_BNK: Tensor) -> tuple[Tensor, Tensor]:
    """Per day and horizon minus its mean over its deviation, 0 where masked; and which days have a spread: [B, K]."""
    centred_BNK, deviation_B1K = centred(values_BNK, mask_BNK)
    spread_BK = (deviation_B1K > TINY).squeeze(1)
    return centred_BNK / deviation_B1K.clamp(min=TINY), spread_BK


def centred(values_BNK: Tensor, mask_BNK: Tensor) -> tuple[Tensor, Tensor]:
    """Per day and horizon minus its mean, 0 where masked; and the deviation [B, 1, K]."""
    count = mask_BNK.sum(dim=1, keepdim=True).clamp(min=1)
    mean = values_BNK.where(mask_BNK, 0.0).sum(dim=1, keepdim=True) / count
    less = (values_BNK - mean).where(mask_BNK, 0.0)
    return less, (less.square().sum(dim=1, keepdim=True) / count + TINY**2).sqrt()


def weighted(by_horizon_K: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Weighted mean over horizons: scalar."""
    weight = torch.tensor(weights, dtype=by_horizon_K.dtype, device=by_horizon_K.device)
    return (by_horizon_K * weight).sum() / weight.sum()
