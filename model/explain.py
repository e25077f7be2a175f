"""What a network looks at, on request: nothing here runs in training, and no block keeps anything for it.

Attention per edge, weight per feature, the neighbours' share, what the normalisers take out, and what an edge is worth
by leaving it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.atft import ATFT, Flow
from model.graph.encoder import GraphBlock

Inputs = tuple[Tensor, ...]
"""The arguments of `ATFT.forward`, in their order."""


@dataclass(frozen=True, eq=False)
class EdgeAttention:
    """Attention of the last hop, edge by edge."""

    day: np.ndarray  # [E] place in the block
    source: np.ndarray  # [E] codes: who is heard
    target: np.ndarray  # [E] codes: by whom
    weight_EA: np.ndarray  # per head; the weights of a target sum to one


@dataclass(frozen=True, eq=False)
class Explanation:
    """A block of B days, seen from inside."""

    feature_weight: dict[str, float]  # mean over the block's observed (day, stock); 1 is an equal share
    neighbours_share: np.ndarray | None  # [B, N]: mean over channels, 0 to 1; None where nothing weighs neighbours
    edges: EdgeAttention | None  # None where the graph block has no attention
    removed: dict[str, np.ndarray]  # by the normaliser, under its names


def explain(net: ATFT, inputs: Inputs, features: Sequence[str], codes: Sequence[str]) -> Explanation:
    """Looks into a network in evaluation.

    Args:
        net: the network.
        inputs: a block of days.
        features: F names, in the order of the store.
        codes: N stock codes, in the order of the store.
    """
    x_TNF, observed_TN = inputs[0], inputs[1]
    with _evaluating(net):
        flow = net.encode(*inputs)
        own_days = slice(net.window - 1, None)
        weights_F = net.selection.weights(x_TNF[own_days])[observed_TN[own_days]].mean(dim=0)
        share = net.fusion.share(flow.own_BNH, flow.graph_BNH)
        return Explanation(
            feature_weight=dict(zip(features, weights_F.tolist(), strict=True)),
            neighbours_share=None if share is None else share.mean(dim=-1).cpu().numpy(),
            edges=_attention(net, inputs, flow, codes),
            removed={name: value.cpu().numpy() for name, value in net.norm.removed(flow.x_BNLH).items()},
        )


def edge_importance(net: ATFT, inputs: Inputs, edges: Sequence[int]) -> np.ndarray:
    """How far the scores of a day move when one edge is left out: [len(edges), K], mean over its stocks of |change|.

    Args:
        net: a network whose graph block hears over given edges alone.
        inputs: a block of days.
        edges: columns of its edge_index.

    Raises:
        ValueError: no such edge, or a graph block that chooses edges itself or hears nobody.
    """
    if not isinstance(net.graph, GraphBlock) or net.graph.edges.chooses:
        raise ValueError("edges can be left out where the graph block hears over those of data.graph alone.")
    edge_index, edge_attr = inputs[4], inputs[5]
    if wrong := [edge for edge in edges if not 0 <= edge < edge_index.shape[1]]:
        raise ValueError(f"edges must be columns of edge_index, of which there are {edge_index.shape[1]}; got {wrong}.")
    with _evaluating(net):
        own_BNH = net.encode(*inputs).own_BNH
        whole_BNK = _scores(net, own_BNH, inputs[2], edge_index, edge_attr)
        moved = []
        for edge in edges:
            kept = torch.arange(edge_index.shape[1], device=edge_index.device) != edge
            without_BNK = _scores(net, own_BNH, inputs[2], edge_index[:, kept], edge_attr[kept])
            day = int(edge_index[1, edge]) // own_BNH.shape[1]
            moved.append((whole_BNK[day] - without_BNK[day]).abs().mean(dim=0))
        return torch.stack(moved).cpu().numpy() if moved else np.empty((0, whole_BNK.shape[-1]), np.float32)


def _attention(net: ATFT, inputs: Inputs, flow: Flow, codes: Sequence[str]) -> EdgeAttention | None:
    if not isinstance(net.graph, GraphBlock):
        return None
    index, attr = net.graph.edges(flow.own_BNH, inputs[2], inputs[4], inputs[5])
    weight_EA = net.graph.hear(flow.own_BNH.flatten(0, 1), index, attr)[-1].attention_EA
    if weight_EA is None:
        return None
    source, target = index.cpu().numpy()
    names, stocks = np.asarray(codes), flow.own_BNH.shape[1]
    return EdgeAttention(target // stocks, names[source % stocks], names[target % stocks], weight_EA.cpu().numpy())


def _scores(net: ATFT, own_BNH: Tensor, eligible_BN: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
    graph_BNH, _ = net.graph(own_BNH, eligible_BN, edge_index, edge_attr)
    return net.head(net.fusion(own_BNH, graph_BNH))[..., net.median]


@contextmanager
def _evaluating(net: ATFT) -> Iterator[None]:
    """In evaluation and without gradients, and back as it was."""
    was_training = net.training
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        net.train(was_training)
