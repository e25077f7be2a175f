"""A training step on a GPU: float32, bf16, bf16 compiled; and the largest universe whose step fits in its memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.measure import seconds
from model.atft import ATFT
from model.config import ModelConfig
from model.memory import peak_bytes, predict_memory, random_days
from model.protocols import Sizes

PROBED = (128, 512)  # stocks of the probes for memory
SPARE = 0.9  # share of the memory that a step may take


def on_device(sizes: Sizes, days: int, stocks: int, device: torch.device, repeat: int) -> dict[str, float]:
    """ms per day of each precision, and stocks that fit at windows of 20 and 60 days."""
    config = ModelConfig(hidden=sizes.hidden)
    inputs = random_days(sizes, days, stocks, device=device)
    figures: dict[str, float] = {}
    for name, half, compiled in (("float32", False, False), ("bf16", True, False), ("bf16, compiled", True, True)):
        net = ATFT(config, sizes, seed=0).to(device).train()
        if compiled:
            net.compile()
        step = _autocast(lambda net=net: train_step(net, inputs), device, half)
        for _ in range(3):
            step()
        figures[f"{name}, ms per day"] = 1e3 * seconds(step, repeat) / days
    if device.type == "cuda":
        for window in (20, 60):
            figures[f"stocks that fit at window {window}, bf16"] = _largest(sizes._replace(window=window), days, device)
    return figures


def _largest(sizes: Sizes, days: int, device: torch.device) -> float:
    """By the line through two probes, and then tried: the step of that many stocks must run."""
    net = ATFT(ModelConfig(hidden=sizes.hidden), sizes, seed=0).to(device).train()

    def step(stocks: int) -> None:
        inputs = random_days(sizes, days, stocks, device=device)
        _autocast(lambda: train_step(net, inputs), device, half=True)()

    line = predict_memory(step, device, PROBED)
    most = line.days_within(round(SPARE * torch.cuda.mem_get_info(device)[0]))
    peak_bytes(step, most, device)
    return float(most)


def train_step(net: ATFT, inputs: tuple[Tensor, ...]) -> None:
    """Forward and backward of one block; its targets are zero."""
    net.zero_grad(set_to_none=True)
    out = net(*inputs)
    penalties = sum(out.penalties.values(), 0.05 * out.auxiliary)
    (functional.huber_loss(out.score_BNK, torch.zeros_like(out.score_BNK)) + penalties).backward()


def _autocast(work: Callable[[], None], device: torch.device, half: bool) -> Callable[[], None]:
    """The work in bf16 where asked, to its end: a GPU is waited for."""

    def run() -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
            work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return run
