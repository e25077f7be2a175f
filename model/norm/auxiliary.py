"""The yardstick that the normalisers' auxiliary losses share."""

from __future__ import annotations

from torch import Tensor


def relative_squared_error(predicted_BNH: Tensor, actual_BNH: Tensor, mask_BN: Tensor) -> Tensor:
    """Mean over days of a day's squared error in units of its actual values' mean square; zero where none is known.

    Dividing by the (constant) size of the target keeps the loss from growing with the projection's scale.
    """
    predicted_BNH, actual_BNH = predicted_BNH.float(), actual_BNH.float()  # squares leave half precision's range
    weight = mask_BN.unsqueeze(-1).float()
    cells_B = weight.sum(dim=(1, 2)).clamp(min=1) * actual_BNH.shape[-1]
    error_B = ((predicted_BNH - actual_BNH).square() * weight).sum(dim=(1, 2)) / cells_B
    size_B = (actual_BNH.square() * weight).sum(dim=(1, 2)) / cells_B
    return (error_B / (size_B.detach() + 1e-6)).mean()
