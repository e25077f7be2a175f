"""How concentrated, and how even, attention over neighbours is; both 0 to 1 whatever the number of neighbours."""

from __future__ import annotations

from torch import Tensor

TINY = 1e-6


def concentration(attention_EA: Tensor, target_E: Tensor, days: int, stocks: int) -> Tensor:
    """Normalised Herfindahl index: 0 for even weights, 1 for a single neighbour. Scalar.

        mean over days of the mean over nodes and heads of (d sum_j a_ij^2 - 1) / (d - 1),    d >= 2 neighbours

    Args:
        attention_EA: weight per edge and head, summing to one over the edges of a target.
        target_E: the node that each edge ends in.
        days: of the block.
        stocks: nodes per day.
    """
    square_MA, degree_M1 = _sum(attention_EA.float().square(), target_E, days * stocks)
    return _mean((degree_M1 * square_MA - 1) / (degree_M1 - 1).clamp(min=1), degree_M1, days)


def entropy(attention_EA: Tensor, target_E: Tensor, days: int, stocks: int) -> Tensor:
    """Shannon entropy over its largest value: 1 for even weights, 0 for a single neighbour. Scalar.

    mean over days of the mean over nodes and heads of -sum_j a_ij log a_ij / log d,    d >= 2 neighbours
    """
    weight_EA = attention_EA.float()
    each_EA = -weight_EA * weight_EA.clamp(min=TINY).log()
    entropy_MA, degree_M1 = _sum(each_EA, target_E, days * stocks)
    return _mean(entropy_MA / degree_M1.clamp(min=2).log(), degree_M1, days)


def _sum(values_EA: Tensor, target_E: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    """Sums by target [M, A], and the number of edges of each [M, 1]."""
    totals = values_EA.new_zeros(nodes, values_EA.shape[1]).index_add(0, target_E, values_EA)
    degree = values_EA.new_zeros(nodes, 1).index_add(0, target_E, values_EA.new_ones(len(target_E), 1))
    return totals, degree


def _mean(values_MA: Tensor, degree_M1: Tensor, days: int) -> Tensor:
    weight_BN1 = (degree_M1 >= 2).to(values_MA.dtype).unflatten(0, (days, -1))
    total_B = (values_MA.unflatten(0, (days, -1)) * weight_BN1).sum(dim=(1, 2))
    return (total_B / (weight_BN1.sum(dim=(1, 2)) * values_MA.shape[1]).clamp(min=1)).mean()
