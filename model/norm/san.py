"""Slice-level adaptive normalisation (Liu et al., NeurIPS 2023).

The window is cut into slices; each is centred and scaled by its own mean and deviation (eq. 2), and a small network
predicts the statistics of the step to come from those of the slices, relative to the whole window's mean (eq. 5-6).

    y_s = (x_s - m_s) / sqrt(d_s^2 + eps^2)
    m_next = m + f(m_1 - m .. m_P - m),    log d_next = log d + g(log d_1 - log d .. log d_P - log d)
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from model.norm.auxiliary import relative_squared_error
from model.norm.restoring import mean_restoring
from model.protocols import NormBlockConfig, Sizes

EPSILON = 1e-2  # floor of a slice's deviation: projections are of order one, a slice of missing days is constant


class SANConfig(NormBlockConfig):
    kind: Literal["san"] = "san"
    slice_length: int = Field(5, ge=2, description="days per slice; must divide the window into two slices or more")

    def build(self, sizes: Sizes) -> nn.Module:
        return SAN(sizes.window, sizes.hidden, self.slice_length)


class SliceStatistics(NamedTuple):
    """Predicted for day t + 1, each [B, N, H]."""

    mean: Tensor
    deviation: Tensor


class SANStatistics(NamedTuple):
    """The same numbers twice: what is given back, and what the auxiliary loss judges.

    Judged are the predictors alone: a gradient into the windows would make the projection easy to predict instead of
    worth predicting from.
    """

    given: SliceStatistics
    judged: SliceStatistics


class SAN(nn.Module):
    """[B, N, L, H] -> [B, N, L, H]."""

    def __init__(self, window: int, hidden: int, slice_length: int) -> None:
        super().__init__()
        if window % slice_length or window == slice_length:
            fitting = [str(days) for days in range(2, window // 2 + 1) if window % days == 0]
            raise ValueError(
                f"SAN's slice_length must divide the window {window} into two slices or more, got {slice_length}. "
                f"Choose one of {', '.join(fitting) or 'none'}, or another window."
            )
        self.num_slices = window // slice_length
        self.next_mean = nn.Linear(self.num_slices, 1)
        self.next_deviation = nn.Linear(self.num_slices, 1)
        self.restoring = mean_restoring(hidden)

    def normalize(self, x_BNLH: Tensor) -> tuple[Tensor, SANStatistics]:
        centred, mean, deviation = self._of_slices(x_BNLH)
        y = (centred / deviation).flatten(2, 3)
        mean_BNHP, deviation_BNHP = (each.squeeze(3).transpose(-1, -2) for each in (mean, deviation))
        judged = self._predict(mean_BNHP.detach(), deviation_BNHP.detach())
        return y, SANStatistics(self._predict(mean_BNHP, deviation_BNHP), judged)

    def _of_slices(self, x_BNLH: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Centred slices [B, N, P, L / P, H], their means and deviations [B, N, P, 1, H]."""
        slices = x_BNLH.unflatten(2, (self.num_slices, -1))
        mean = slices.mean(dim=3, keepdim=True)
        centred = slices - mean
        return centred, mean, (centred.square().mean(dim=3, keepdim=True) + EPSILON**2).sqrt()

    def _predict(self, mean_BNHP: Tensor, deviation_BNHP: Tensor) -> SliceStatistics:
        mean, log_deviation = mean_BNHP, deviation_BNHP.log()
        whole_mean, whole_log = mean.mean(-1, keepdim=True), log_deviation.mean(-1, keepdim=True)
        next_mean = whole_mean + self.next_mean(mean - whole_mean)
        next_log = whole_log + self.next_deviation(log_deviation - whole_log)
        return SliceStatistics(next_mean.squeeze(-1), next_log.squeeze(-1).clamp(max=5).exp())

    def restore(self, h_BNH: Tensor, stats: SANStatistics) -> Tensor:
        return h_BNH + self.restoring(torch.cat(stats.given, dim=-1))

    def auxiliary_loss(self, stats: SANStatistics, next_BNH: Tensor, mask_BN: Tensor) -> Tensor:
        """Error of the predicted mean, plus that of the deviation against sqrt(pi/2) |x - mean|, its normal proxy."""
        mean, deviation = stats.judged
        distance = math.sqrt(math.pi / 2) * (next_BNH - mean.detach()).abs()
        return relative_squared_error(mean, next_BNH, mask_BN) + relative_squared_error(deviation, distance, mask_BN)

    def removed(self, x_BNLH: Tensor) -> dict[str, Tensor]:
        """`mean` and `deviation` of every slice, each [B, N, P, H]."""
        _, mean, deviation = self._of_slices(x_BNLH)
        return {"mean": mean.squeeze(3), "deviation": deviation.squeeze(3)}
