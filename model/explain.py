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
    """Attention edge by edge, in the order of the edges that the graph block hears over."""

    day: np.ndarray  # [E] place in the block
    source: np.ndarray  # [E] codes: who is heard
    target: np.ndarray  # [E] codes: by whom
    weight_LEA: np.ndarray  # per hop and head; the weights of a target sum to one


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
        inputs: a block of days, `DayBlock.inputs`.
        features: F names, in the order of the store.
        codes: N stock codes, in the order of the store.

    Raises:
        ValueError: other numbers of features or codes than the block has, or a block in which no stock was observed.
    """
    x_TNF, observed_TN = inputs[0], inputs[1]
    if (len(codes), len(features)) != x_TNF.shape[1:]:
        raise ValueError(
            f"names must be those of the block's {x_TNF.shape[1]} stocks and {x_TNF.shape[2]} features, got "
            f"{len(codes)} codes and {len(features)} features. Take both from the store that the block came from."
        )
    own_days = slice(net.window - 1, None)
    if not observed_TN[own_days].any():
        raise ValueError("a block must have an observed stock to be explained, but this one has none. Take other days.")
    with evaluating(net):
        flow = net.encode(*inputs)
        weights_F = net.selection.weights(x_TNF[own_days])[observed_TN[own_days]].mean(dim=0)
        share = net.fusion.share(flow.own_BNH, flow.graph_BNH)
        return Explanation(
            feature_weight=dict(zip(features, weights_F.tolist(), strict=True)),
            neighbours_share=None if share is None else _array(share.mean(dim=-1)),
            edges=_attention(net, inputs, flow, codes),
            removed={name: _array(value) for name, value in net.norm.removed(flow.x_BNLH).items()},
        )


def edge_importance(net: ATFT, inputs: Inputs, edges: Sequence[int]) -> np.ndarray:
    """How far the scores of a day move when one edge is left out: [len(edges), K], the sum over its stocks of |change|.

    With one hop, the change is that of the edge's target alone.

    Args:
        net: the network.
        inputs: a block of days, `DayBlock.inputs`.
        edges: places in the order of `explain(..).edges`, which is that of edge_index where edges are given.

    Raises:
        ValueError: no such edge, or a graph block that hears nobody.
    """
    if not isinstance(net.graph, GraphBlock):
        raise ValueError("edges can be left out where a graph block hears over some, but this network's hears nobody.")
    with evaluating(net):
        own_BNH = net.encode(*inputs).own_BNH
        index, attr = net.graph.edges(own_BNH, inputs[2], inputs[4], inputs[5])
        if wrong := [edge for edge in edges if not 0 <= edge < index.shape[1]]:
            raise ValueError(f"edges must be among the {index.shape[1]} that the graph block hears over, got {wrong}.")
        whole_BNK = _scores(net, net.graph, own_BNH, index, attr)
        moved = [torch.empty(0, whole_BNK.shape[-1])]
        for edge in edges:
            kept = torch.arange(index.shape[1], device=index.device) != edge
            without_BNK = _scores(net, net.graph, own_BNH, index[:, kept], attr[kept])
            day = int(index[1, edge]) // own_BNH.shape[1]
            moved.append((whole_BNK[day] - without_BNK[day]).abs().sum(dim=0, keepdim=True).cpu())
        return _array(torch.cat(moved))


def _attention(net: ATFT, inputs: Inputs, flow: Flow, codes: Sequence[str]) -> EdgeAttention | None:
    if not isinstance(net.graph, GraphBlock):
        return None
    index, attr = net.graph.edges(flow.own_BNH, inputs[2], inputs[4], inputs[5])
    hops = [heard.attention_EA for heard in net.graph.hear(flow.own_BNH.flatten(0, 1), index, attr)]
    known = [weight_EA for weight_EA in hops if weight_EA is not None]
    if not known:
        return None
    source, target = index.cpu().numpy()
    names, stocks = np.asarray(codes), flow.own_BNH.shape[1]
    weight_LEA = _array(torch.stack(known))
    return EdgeAttention(target // stocks, names[source % stocks], names[target % stocks], weight_LEA)


def _scores(net: ATFT, graph: GraphBlock, own_BNH: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
    message_MH = graph.hear(own_BNH.flatten(0, 1), edge_index, edge_attr)[-1].message_MH
    fused_BNH = net.fusion(own_BNH, message_MH.unflatten(0, own_BNH.shape[:2]))
    return net.head(fused_BNH)[..., net.median].float()


def _array(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy()


@contextmanager
def evaluating(net: ATFT) -> Iterator[None]:
    """In evaluation and without gradients, and back as it was."""
    was_training = net.training
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        net.train(was_training)
