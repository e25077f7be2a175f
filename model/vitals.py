"""A few numbers that say whether a network is alive: attention, the neighbours' share, the spread of its scores."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from model.atft import ATFT
from model.explain import Inputs, evaluating
from model.graph.encoder import GraphBlock
from model.graph.penalties import entropy
from model.losses.daily import centred


class Vitals(NamedTuple):
    """Of one block of days, in evaluation."""

    num_parameters: int  # of the whole network
    num_edges: int  # that the graph block hears over
    attention_entropy: float | None  # over its largest value: 1 is even; None where there is no attention
    mean_attention: float | None  # weight per edge, mean over edges and heads
    neighbours_share: float | None  # 0 to 1; None where nothing weighs neighbours
    spread_K: list[float]  # daily standard deviation of the scores over stocks, mean over days


def vitals(net: ATFT, inputs: Inputs, mask_BNK: Tensor) -> Vitals:
    """Looks at one block.

    Args:
        net: the network.
        inputs: a block of days, `DayBlock.inputs`.
        mask_BNK: bool, the cells whose spread counts.
    """
    with evaluating(net):
        flow = net.encode(*inputs)
        share = net.fusion.share(flow.own_BNH, flow.graph_BNH)
        fused_BNH = net.fusion(flow.own_BNH, flow.graph_BNH)
        score_BNK = net.head(fused_BNH)[..., net.median].float()
        edges, even, mean = _attention(net, inputs, flow.own_BNH)
    size = sum(parameter.numel() for parameter in net.parameters())
    return Vitals(size, edges, even, mean, None if share is None else float(share.mean()), spread(score_BNK, mask_BNK))


def spread(score_BNK: Tensor, mask_BNK: Tensor) -> list[float]:
    """Daily standard deviation over stocks, mean over days, per horizon."""
    return centred(score_BNK.detach().float(), mask_BNK)[1].squeeze(1).mean(dim=0).tolist()


def _attention(net: ATFT, inputs: Inputs, own_BNH: Tensor) -> tuple[int, float | None, float | None]:
    if not isinstance(net.graph, GraphBlock):
        return 0, None, None
    index, attr = net.graph.edges(own_BNH, inputs[2], inputs[4], inputs[5])
    heard = net.graph.hear(own_BNH.flatten(0, 1), index, attr)
    known = [hop.attention_EA for hop in heard if hop.attention_EA is not None]
    if not known:
        return index.shape[1], None, None
    even = torch.stack([entropy(weight_EA, index[1], *own_BNH.shape[:2]) for weight_EA in known]).mean()
    return index.shape[1], float(even), float(torch.stack([weight_EA.float().mean() for weight_EA in known]).mean())
