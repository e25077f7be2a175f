"""Small inputs, every block of every slot, and a network with each of them, for the model's tests.

Shapes: B days, N stocks, M = B*N nodes, T = B + L - 1 days with their history, L window, F features, H hidden,
K horizons, E edges.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, get_args

import torch
from torch import Tensor

from model.atft import ATFT
from model.config import SLOTS, ModelConfig
from model.graph.edges import BothEdgesConfig, KNNEdgesConfig
from model.graph.kinds import GATv2Config, SAGEConfig
from model.head.point import PointHeadConfig
from model.protocols import BlockConfig, Sizes

DAYS, STOCKS, NEIGHBOURS = 3, 6, 3
SIZES = Sizes(features=7, hidden=8, window=20, edge_attributes=4, horizons=2, sectors=3)

REFERENCE = ModelConfig(hidden=SIZES.hidden, head=PointHeadConfig(small_init=False))


def members(slot: str) -> tuple[type[BlockConfig], ...]:
    """Config classes of a slot's union."""
    annotation = ModelConfig.model_fields[slot].annotation
    return get_args(annotation) or (annotation,)


def variant(base: ModelConfig, **blocks: object) -> ModelConfig:
    """`base` with other blocks, validated anew; without a graph block there is nothing to fuse."""
    dumped = {name: getattr(base, name).model_dump() for name in SLOTS} | {"hidden": base.hidden}
    dumped |= {name: block if isinstance(block, dict) else block.model_dump() for name, block in blocks.items()}
    if dumped["graph"]["kind"] == "identity" and "fusion" not in blocks:
        dumped["fusion"] = {"kind": "identity"}
    return ModelConfig.model_validate(dumped)


def every_network() -> Iterator[tuple[str, ModelConfig]]:
    """The reference network with one slot filled by each member of its union in turn, and some of their options."""
    for slot in SLOTS:
        for member in members(slot):
            yield f"{slot}={member().kind}", variant(REFERENCE, **{slot: member()})
    yield "graph=gatv2 over knn", variant(REFERENCE, graph=GATv2Config(edges=KNNEdgesConfig(k=2)))
    yield "graph=sage over both, 3 hops", variant(REFERENCE, graph=SAGEConfig(layers=3, edges=BothEdgesConfig(k=2)))
    yield "head=point with LayerScale", variant(REFERENCE, head=PointHeadConfig(small_init=False, layer_scale=0.5))


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal values that depend on the seed alone."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def uniform(*shape: int, seed: int = 0) -> Tensor:
    """Values in [0, 1) that depend on the seed alone."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


class Inputs(NamedTuple):
    """Arguments of the network's forward, in order."""

    x_TNF: Tensor
    observed_TN: Tensor
    eligible_BN: Tensor
    sector_BN: Tensor
    edge_index: Tensor
    edge_attr: Tensor


def inputs(days: int = DAYS, stocks: int = STOCKS, seed: int = 0) -> Inputs:
    """A block of random days, a fifth of whose cells are unobserved (and zero, as the loader leaves them)."""
    rows = days + SIZES.window - 1
    observed = uniform(rows, stocks, seed=seed + 1) < 0.8
    x = normal(rows, stocks, SIZES.features, seed=seed + 2) * observed.unsqueeze(-1)
    eligible, sector = observed[-days:].clone(), sectors(days, stocks)
    return Inputs(x, observed, eligible, sector, *edges(days, stocks, seed + 3))


def sectors(days: int = DAYS, stocks: int = STOCKS) -> Tensor:
    """Every code there is, in turn: [B, N]."""
    return (torch.arange(stocks) % SIZES.sectors).expand(days, -1)


def edges(days: int = DAYS, stocks: int = STOCKS, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Every stock's neighbours on every day, drawn without repetition: ([2, E], [E, 4])."""
    distance = uniform(days, stocks, stocks, seed=seed) + 2 * torch.eye(stocks)
    source = distance.topk(min(NEIGHBOURS, stocks - 1), dim=-1, largest=False).indices
    target = torch.arange(stocks).view(1, -1, 1).expand_as(source)
    first = torch.arange(days).view(-1, 1, 1) * stocks
    index = torch.stack([(source + first).flatten(), (target + first).flatten()])
    return index, normal(index.shape[1], SIZES.edge_attributes, seed=seed + 1)


def network(
    config: ModelConfig = REFERENCE, seed: int = 0, sizes: Sizes = SIZES, checkpointed: tuple[str, ...] = ()
) -> ATFT:
    """The network in evaluation."""
    return ATFT(config, sizes, seed, checkpointed).eval()


def daily_relative_error(predicted_BNH: Tensor, actual_BNH: Tensor, mask_BN: Tensor) -> Tensor:
    """Mean over days of a day's masked squared error over its masked squares, by a loop."""
    days = []
    for predicted, actual, mask in zip(predicted_BNH, actual_BNH, mask_BN, strict=True):
        days.append((predicted - actual)[mask].square().sum() / (actual[mask].square().sum() + 1e-30))
    return torch.stack(days).mean()
