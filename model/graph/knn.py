"""Nearest neighbours among the stocks of a day, by cosine of their vectors.

A chunk of stocks is compared with all others at once, in one buffer that every chunk and day reuses, so that memory is
[chunk, N] and not [N, N]. Ties and masks are safe in half precision.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

CHUNK = 512  # stocks that are compared with all others at once


@torch.no_grad()
def nearest(h_BNH: Tensor, eligible_BN: Tensor, k: int, refresh_days: int, chunk: int = CHUNK) -> Tensor:
    """Edges [2, E] from each stock's `k` nearest others to it, between stocks of the day's universe.

    Args:
        h_BNH: vectors per day and stock.
        eligible_BN: bool, who may be a neighbour and have some.
        k: neighbours; fewer where the universe is smaller.
        refresh_days: neighbours are looked for on days 0, refresh_days, .. and kept for the days after each, as long
            as both ends are in the universe.
        chunk: stocks per comparison; changes memory and no edge.
    """
    days, stocks, _ = h_BNH.shape
    unit_BNH = functional.normalize(h_BNH.float(), dim=-1).to(h_BNH.dtype)  # a square overflows in half precision
    buffer = h_BNH.new_empty(min(chunk, stocks), stocks)
    edges = []
    for start in range(0, days, refresh_days):
        pairs = _of_day(unit_BNH[start], eligible_BN[start], min(k, stocks - 1), buffer)
        for day in range(start, min(start + refresh_days, days)):
            alive = eligible_BN[day][pairs].all(dim=0)
            edges.append(pairs[:, alive] + day * stocks)
    return torch.cat(edges, dim=1)


def _of_day(unit_NH: Tensor, eligible_N: Tensor, k: int, buffer: Tensor) -> Tensor:
    """[2, E]: source and target among the day's stocks."""
    floor, found = torch.finfo(unit_NH.dtype).min, []
    for rows in torch.arange(len(unit_NH), device=unit_NH.device).split(len(buffer)):
        similar = torch.mm(unit_NH[rows], unit_NH.T, out=buffer[: len(rows)])
        similar.masked_fill_(~eligible_N, floor)
        similar[torch.arange(len(rows), device=rows.device), rows] = floor
        value, source = similar.topk(k, dim=1)
        known = (value > floor) & eligible_N[rows].unsqueeze(1)
        found.append(torch.stack([source[known], rows.unsqueeze(1).expand_as(source)[known]]))
    return torch.cat(found, dim=1)
