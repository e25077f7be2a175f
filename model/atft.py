"""ATFT-GAT-FAN: select, project, window, norm, augment, temporal, restore, graph, fuse, head.

What is pointwise per (day, stock) runs once per day; windows are taken after it. The projection is linear and no
LayerNorm or bounded map stands before the window, so the scale regime of a window reaches the normaliser.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from model.config import SLOTS, ModelConfig
from model.head.body import MEDIAN
from model.protocols import (
    Augment,
    Fusion,
    GraphEncoder,
    Head,
    Penalties,
    Selection,
    SeriesNorm,
    Sizes,
    TemporalEncoder,
)

UNLIMITED = 2**31


class Prediction(NamedTuple):
    """What the network says of B days, N stocks and K horizons, and what saying so costs."""

    level_BNKQ: Tensor  # the head's quantiles, ascending; Q = 1 for a point
    score_BNK: Tensor  # the median, or the point: what ranks the stocks
    auxiliary: Tensor  # the normaliser's error about the day to come, unweighted
    penalties: Penalties  # of graph and fusion, weighted; empty in evaluation


class Flow(NamedTuple):
    """The representations on the way, in their order."""

    p_TNH: Tensor  # projected features
    x_BNLH: Tensor  # their windows
    stats: Any  # what the normaliser took out and expects
    own_BNH: Tensor
    graph_BNH: Tensor
    penalties: Penalties


class ATFT(nn.Module):
    """The network of a `ModelConfig`; every layer exists after construction.

    Args:
        config: one block per slot.
        sizes: from the store's schema; `hidden` must be the config's.
        seed: of the initial weights; each slot draws from (seed, its name).
        checkpointed: slots whose activations are computed again in the backward pass instead of kept. Changes no
            number.
    """

    selection: Selection
    projection: nn.Linear
    norm: SeriesNorm
    augment: Augment
    temporal: TemporalEncoder
    graph: GraphEncoder
    fusion: Fusion
    head: Head

    def __init__(self, config: ModelConfig, sizes: Sizes, seed: int, checkpointed: Collection[str] = ()) -> None:
        super().__init__()
        if config.hidden != sizes.hidden:
            raise ValueError(f"sizes must be those of the config, got hidden {sizes.hidden} and {config.hidden}")
        if unknown := set(checkpointed) - set(SLOTS):
            raise ValueError(f"checkpointed must name slots of {', '.join(SLOTS)}, got {', '.join(sorted(unknown))}")
        self.window, self.checkpointed = sizes.window, frozenset(checkpointed)
        for slot in ("selection", "projection", *SLOTS[1:]):
            with _seeded(seed, slot):
                block = (
                    nn.Linear(sizes.features, sizes.hidden)
                    if slot == "projection"
                    else getattr(config, slot).build(sizes)
                )
            self.add_module(slot, block)
        self.median = self.head.levels.index(MEDIAN)
        self.stocks_at_once = UNLIMITED  # in the pointwise stage; changes memory and no number beyond rounding

    def forward(
        self,
        x_TNF: Tensor,
        observed_TN: Tensor,
        eligible_BN: Tensor,
        sector_BN: Tensor,
        edge_index: Tensor,
        edge_attr: Tensor,
    ) -> Prediction:
        """Scores B days.

        Args:
            x_TNF: scaled features of the B days and the L - 1 before them; one more row, of the day after them, is
                seen by the normaliser's auxiliary loss alone.
            observed_TN: bool, the stock has a row on the day.
            eligible_BN: bool, the stock is in the day's universe.
            sector_BN: int64 sector codes, 0 where unknown.
            edge_index: [2, E], node n of day b is b*N + n.
            edge_attr: [E, A].
        """
        flow = self.encode(x_TNF, observed_TN, eligible_BN, sector_BN, edge_index, edge_attr)
        fused_BNH = self._run("fusion", self.fusion, flow.own_BNH, flow.graph_BNH)
        level_BNKQ = self._run("head", self.head, fused_BNH).float()  # losses are sums over days, in full precision
        following = self._next_day(flow.p_TNH.float(), observed_TN, len(eligible_BN))
        auxiliary = self.norm.auxiliary_loss(flow.stats, *following)
        penalties = flow.penalties | self.fusion.penalties() if self.training else {}
        return Prediction(level_BNKQ, level_BNKQ[..., self.median], auxiliary, penalties)

    def encode(
        self,
        x_TNF: Tensor,
        observed_TN: Tensor,
        eligible_BN: Tensor,
        sector_BN: Tensor,
        edge_index: Tensor,
        edge_attr: Tensor,
    ) -> Flow:
        """Everything before fusion and head; arguments as in `forward`."""
        p_TNH = self._pointwise(x_TNF)
        rows = len(eligible_BN) + self.window - 1
        mask_BNL = observed_TN[:rows].unfold(0, self.window, 1)
        x_BNLH = _filled(p_TNH[:rows].unfold(0, self.window, 1).transpose(-1, -2), mask_BNL)
        y_BNLH, stats = self._run("norm", self.norm.normalize, x_BNLH)
        z_BNLH = self._run("augment", self.augment, y_BNLH)
        own_BNH = self.norm.restore(self._run("temporal", self.temporal, z_BNLH, mask_BNL, sector_BN), stats)
        graph_BNH, penalties = self._run("graph", self.graph, own_BNH, eligible_BN, edge_index, edge_attr)
        return Flow(p_TNH, x_BNLH, stats, own_BNH, graph_BNH, penalties)

    def _pointwise(self, x_TNF: Tensor) -> Tensor:
        """Selected and projected features: [T, N, H]; where memory is short, for some stocks at a time."""
        if x_TNF.shape[1] <= self.stocks_at_once:
            return self.projection(self._run("selection", self.selection, x_TNF))
        keep = self.training and torch.is_grad_enabled()
        parts = [
            checkpoint(self._selected, part_TNF, use_reentrant=False) if keep else self._selected(part_TNF)
            for part_TNF in x_TNF.split(self.stocks_at_once, dim=1)
        ]
        return torch.cat(parts, dim=1)

    def _selected(self, x_TNF: Tensor) -> Tensor:
        return self.projection(self.selection(x_TNF))

    def _run(self, slot: str, block: Callable[..., Any], *inputs: Tensor) -> Any:
        """The block's output; with the slot checkpointed, its activations are not kept."""
        if slot in self.checkpointed and self.training and torch.is_grad_enabled():
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)

    def _next_day(self, p_TNH: Tensor, observed_TN: Tensor, days: int) -> tuple[Tensor, Tensor]:
        """Detached projection of day t + 1 for each of the B days, and where it is known: within the rows alone."""
        following = p_TNH[self.window :].detach()
        known = observed_TN[self.window :] & observed_TN[self.window - 1 : -1]
        beyond = days - len(following)  # 1 where no row of the day after is there
        return (
            torch.cat([following, p_TNH.new_zeros(beyond, *p_TNH.shape[1:])]),
            torch.cat([known, known.new_zeros(beyond, known.shape[1])]),
        )


def _filled(x_BNLH: Tensor, mask_BNL: Tensor) -> Tensor:
    """Windows with the mean of their observed days on the others: a day that is missing is neither zero nor a shock.

    In the memory layout of the block, days outside and stocks inside, so that the normalisers need no copy.
    """
    x_BLNH, mask_BLN1 = x_BNLH.transpose(1, 2), mask_BNL.transpose(1, 2).unsqueeze(-1)
    observed = mask_BLN1.sum(dim=1, keepdim=True).clamp(min=1)
    mean = (x_BLNH * mask_BLN1).sum(dim=1, keepdim=True) / observed
    return torch.where(mask_BLN1, x_BLNH, mean).transpose(1, 2)


@contextmanager
def _seeded(seed: int, slot: str) -> Iterator[None]:
    """Initialises from (seed, slot), so that turning one block leaves the start of the others alone."""
    digest = hashlib.sha256(f"{seed}/{slot}".encode()).digest()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(digest[:7], "big"))
        yield
