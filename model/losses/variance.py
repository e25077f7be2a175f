"""A floor under the spread of predictions: constant scores rank nothing, and a squared error is fond of them.

penalty = relu(1 - sd(s) / (floor * sd(y)))^2 per day
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.losses.daily import TINY, centred, mean_over_days


def variance_floor_by_horizon(score_BNK: Tensor, target_BNK: Tensor, mask_BNK: Tensor, floor: float) -> Tensor:
    """Per horizon: [K]; 0 where every day's spread is at least `floor` times its targets', 1 for constant scores."""
    own_B1K, asked_B1K = centred(score_BNK, mask_BNK)[1], floor * centred(target_BNK, mask_BNK)[1]
    short_B1K = torch.relu(1 - own_B1K / asked_B1K.clamp(min=TINY)).square()
    return mean_over_days(short_B1K.expand_as(score_BNK), mask_BNK)
