"""Random runs of neighbouring places: what a band of frequencies and a stretch of days have in common."""

from __future__ import annotations

import torch
from torch import Tensor


def random_runs(batch: torch.Size, places: int, width: float, probability: float, device: torch.device) -> Tensor:
    """Masks [*batch, places]: with the given probability, True on one run of at most `width` times the places."""
    longest = max(1, round(width * places))
    length = torch.randint(1, longest + 1, batch, device=device)
    room = places - length + 1
    start = (torch.rand(batch, device=device) * room).long().clamp(max=room - 1)
    place = torch.arange(places, device=device)
    inside = (place >= start.unsqueeze(-1)) & (place < (start + length).unsqueeze(-1))
    return inside & (torch.rand(batch, device=device) < probability).unsqueeze(-1)
