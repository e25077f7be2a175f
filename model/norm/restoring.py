"""The linear map by which a normaliser gives back what it took: it starts by putting the mean back where it was."""

from __future__ import annotations

import torch
from torch import nn


def mean_restoring(hidden: int) -> nn.Linear:
    """[.., 2H] -> [.., H] of a mean and a deviation: the mean channel by channel, and a little of every deviation.

    A representation is built on windows without their level; with a random map the level, which most of a slow feature
    is, would be a faint mixture beside it.
    """
    layer = nn.Linear(2 * hidden, hidden, bias=False)
    with torch.no_grad():
        layer.weight[:, :hidden].copy_(torch.eye(hidden))
    return layer
