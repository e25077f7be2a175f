"""Random blocks of days, and the training step that is measured on them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from model.atft import ATFT
from model.protocols import Sizes

ATTRIBUTES, DEGREE = 4, 20


def random_block(sizes: Sizes, days: int, stocks: int) -> tuple[Tensor, ...]:
    """Arguments of the network's forward."""
    observed = torch.ones(days + sizes.window - 1, stocks, dtype=torch.bool)
    sector = torch.arange(stocks).remainder(sizes.sectors).expand(days, -1)
    x = torch.randn(*observed.shape, sizes.features)
    return x, observed, observed[:days], sector, *random_edges(days, stocks)


def random_edges(days: int, stocks: int) -> tuple[Tensor, Tensor]:
    """Every stock hears `DEGREE` others of its day: ([2, E], [E, 4])."""
    target = torch.arange(days * stocks).repeat_interleave(DEGREE)
    source = torch.randint(0, stocks, (len(target),)) + target // stocks * stocks
    return torch.stack([source, target]), torch.randn(len(target), ATTRIBUTES)


def train_step(net: ATFT, inputs: tuple[Tensor, ...]) -> None:
    """Forward and backward of one block; its targets are zero."""
    net.zero_grad(set_to_none=True)
    out = net(*inputs)
    penalties = sum(out.penalties.values(), 0.05 * out.auxiliary)
    (functional.huber_loss(out.score_BNK, torch.zeros_like(out.score_BNK)) + penalties).backward()
