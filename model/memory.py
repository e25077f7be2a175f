"""How much memory a training step will take, from two small probes.

What a step holds at its peak grows with the days that are computed at once; a probe at two sizes gives the line.

    peak(b) = fixed + per_day * b

It is the memory of tensors, beyond weights and optimiser, which are there before. Allocators round up, and kernels have
scratch of their own: a CPU process was measured to grow by about a third more than the line says.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from model.atft import ATFT
from model.config import ModelConfig
from model.protocols import Sizes

Step = Callable[[int], object]
"""Runs forward and backward on so many days."""


class MemoryLine(NamedTuple):
    """Bytes at the peak of a step: a fixed part, and one per day."""

    fixed: float
    per_day: float

    def peak(self, days: int) -> int:
        """Predicted bytes at the peak of a step of `days` days."""
        return round(self.fixed + self.per_day * days)

    def days_within(self, num_bytes: int) -> int:
        """The most days whose step stays within so many bytes; 0 where not one does."""
        if self.per_day <= 0:
            raise ValueError(
                f"memory must grow with the days of a step, but the probes say {self.per_day:.0f} bytes a day"
            )
        return max(0, int((num_bytes - self.fixed) // self.per_day))


def forecast(config: ModelConfig, sizes: Sizes, stocks: int, device: torch.device, degree: int = 20) -> MemoryLine:
    """The line of a configuration's training step on random days of so many stocks, with `degree` neighbours each."""
    net = ATFT(config, sizes, seed=0).to(device).train()

    def step(days: int) -> None:
        net.zero_grad(set_to_none=True)
        out = net(*random_days(sizes, days, stocks, degree, device))
        (out.level_BNKQ.square().mean() + sum(out.penalties.values(), out.auxiliary)).backward()

    return predict_memory(step, device)


def random_days(
    sizes: Sizes, days: int, stocks: int, degree: int = 20, device: torch.device | None = None
) -> tuple[Tensor, ...]:
    """Arguments of the network's forward: every stock is there every day and hears `degree` others."""
    there = torch.ones(days + sizes.window - 1, stocks, dtype=torch.bool, device=device)
    sector = torch.arange(stocks, device=device).remainder(sizes.sectors).expand(days, -1)
    target = torch.arange(days * stocks, device=device).repeat_interleave(degree)
    source = torch.randint(0, stocks, (len(target),), device=device) + target // stocks * stocks
    attr = torch.randn(len(target), sizes.edge_attributes, device=device)
    x_TNF = torch.randn(*there.shape, sizes.features, device=device)
    return x_TNF, there, there[:days], sector, torch.stack([source, target]), attr


def predict_memory(step: Step, device: torch.device, sizes: tuple[int, int] = (2, 6)) -> MemoryLine:
    """The line through the peaks of two probes.

    Args:
        step: forward and backward on that many days. It runs once unmeasured, so that gradients and buffers that are
            made once do not count as growth.
        device: where it computes.
        sizes: days of the probes; very small ones may have their peak in another place of the step.

    Raises:
        ValueError: sizes that do not ascend from 1.
    """
    small, large = sizes
    if not 1 <= small < large:
        raise ValueError(f"probes must be of two sizes, the second larger, got {sizes}")
    step(small)
    low, high = (peak_bytes(step, days, device) for days in sizes)
    per_day = (high - low) / (large - small)
    return MemoryLine(low - per_day * small, per_day)


def peak_bytes(step: Step, days: int, device: torch.device) -> int:
    """Most bytes that a step's tensors take at once, beyond what was there when it began."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step(days)
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with _LiveStorage() as live:
        step(days)
    return live.peak


class _LiveStorage(TorchDispatchMode):
    """Counts the bytes of tensors as operations make them and let them go; a kernel's own scratch is not seen."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.peak = 0, 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        inputs = {leaf.untyped_storage()._cdata for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._note(leaf.untyped_storage(), inputs)
        return out

    def _note(self, storage: torch.UntypedStorage, inputs: set[int]) -> None:
        key = storage._cdata
        if key in self._known or key in inputs:
            return
        self._known.add(key)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key, storage.nbytes())

    def _forget(self, key: int, num_bytes: int) -> None:
        self._known.discard(key)
        self.now -= num_bytes
