"""The yardstick that the normalisers' auxiliary losses share."""

from __future__ import annotations

from torch import Tensor


def relative_squared_error(predicted_BNH: Tensor, actual_BNH: Tensor, mask_BN: Tensor) -> Tensor:
    """Masked mean squared error in units of the actual values' mean square; zero where no cell is known.

    Dividing by the (constant) size of the target keeps the loss from growing with the projection's scale.
    """
    predicted_BNH, actual_BNH = predicted_BNH.float(), actual_BNH.float()  # squares leave half precision's range
    weight = mask_BN.unsqueeze(-1).float()
    cells = weight.sum().clamp(min=1) * actual_BNH.shape[-1]
    error = ((predicted_BNH - actual_BNH).square() * weight).sum() / cells
    size = (actual_BNH.square() * weight).sum() / cells
    return error / (size.detach() + 1e-6)
