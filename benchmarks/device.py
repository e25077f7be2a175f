"""A training step on a GPU: float32, bf16, bf16 compiled; and the largest universe whose step fits in its memory."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch
from torch import Tensor

from benchmarks.blocks import random_block, train_step
from model.atft import ATFT
from model.config import ModelConfig
from model.memory import peak_bytes, predict_memory
from model.protocols import Sizes

PROBED = (128, 512)  # stocks of the probes for memory
SPARE = 0.9  # share of the memory that a step may take


def on_device(sizes: Sizes, days: int, stocks: int, device: torch.device, repeat: int) -> dict[str, float]:
    """ms per day of each precision, and stocks that fit at windows of 20 and 60 days."""
    config = ModelConfig(hidden=sizes.hidden)
    inputs = _moved(random_block(sizes, days, stocks), device)
    figures: dict[str, float] = {}
    for name, half, compiled in (("float32", False, False), ("bf16", True, False), ("bf16, compiled", True, True)):
        net = ATFT(config, sizes, seed=0).to(device).train()
        if compiled:
            net.compile()
        step = _autocast(lambda net=net: train_step(net, inputs), device, half)
        for _ in range(3):
            step()
        figures[f"{name}, ms per day"] = 1e3 * median(_timed(step, device) for _ in range(repeat)) / days
    if device.type == "cuda":
        for window in (20, 60):
            figures[f"stocks that fit at window {window}, bf16"] = _largest(sizes._replace(window=window), days, device)
    return figures


def _largest(sizes: Sizes, days: int, device: torch.device) -> float:
    """By the line through two probes, and then tried: the step of that many stocks must run."""
    net = ATFT(ModelConfig(hidden=sizes.hidden), sizes, seed=0).to(device).train()

    def step(stocks: int) -> None:
        inputs = _moved(random_block(sizes, days, stocks), device)
        _autocast(lambda: train_step(net, inputs), device, half=True)()

    line = predict_memory(step, device, PROBED)
    most = line.days_within(round(SPARE * torch.cuda.mem_get_info(device)[0]))
    peak_bytes(step, most, device)
    return float(most)


def _autocast(work: Callable[[], None], device: torch.device, half: bool) -> Callable[[], None]:
    def run() -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
            work()

    return run


def _timed(work: Callable[[], None], device: torch.device) -> float:
    started = perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter() - started


def _moved(tensors: tuple[Tensor, ...], device: torch.device) -> tuple[Tensor, ...]:
    return tuple(tensor.to(device) for tensor in tensors)
