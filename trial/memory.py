"""Out of memory: how it is recognised, what is there, and the micro-batch that a probe chooses before it happens."""

from __future__ import annotations

import gc
import math
import resource

import psutil
import torch

from data.batch import DayBlock
from data.loader import FoldBlocks
from model.losses.config import Loss
from model.memory import peak_bytes
from trial.events import Event
from trial.state import TrainState

# CPU allocators have no type of error of their own.
SIGNS = ("out of memory", "can't allocate memory", "not enough memory")
HEADROOM = 1.5  # what a process takes over what its tensors count: allocators round up, kernels have scratch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocator refused; any other error is what it says."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)


def release() -> None:
    """Gives back what a failed attempt held."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def available_bytes(device: torch.device) -> int:
    """What an allocation may still take on a device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return int(psutil.virtual_memory().available)


def peak_memory_mib(device: torch.device) -> float:
    """The most that was taken so far: of the GPU by tensors, or of this machine's memory by the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def choose_micro_batch(state: TrainState, blocks: FoldBlocks, loss: Loss, limit: int | None = None) -> None:
    """Probes forward and backward on one block; where it would not fit, lowers the micro-batch before it happens.

    Leaves weights, gradients and random numbers as they were.

    Args:
        state: of which the micro-batch may be lowered; tells it as an event.
        blocks: that will be trained on.
        loss: that will be minimised.
        limit: bytes that a step may take; None: what the device has free.
    """
    width = min(state.micro_batch, blocks.num_train_days)
    first = blocks.fold.train.start
    block = blocks.block(range(first, first + width))
    free = available_bytes(state.device) if limit is None else limit
    days = width
    with torch.random.fork_rng(devices=[state.device] if state.device.type == "cuda" else []):
        while (needed := _probed(state, block, loss, days)) > free and days > 1:
            days //= 2
    if days < width:
        state.micro_batch = days
        whose = "that are free" if limit is None else "that are allowed"
        sentence = f"{width} days at once would not fit in the {free / 2**20:.0f} MiB {whose}: {days} at once"
        if math.isfinite(needed):
            more = ", more than that, and are tried all the same" if needed > free else ""
            sentence += f", which take about {needed / 2**20:.0f} MiB{more}"
        state.events.append(Event("small_memory", sentence))


def _probed(state: TrainState, block: DayBlock, loss: Loss, days: int) -> float:
    """Bytes that a training step on so many days takes, headroom included; infinite where the probe did not fit."""

    def step(days: int) -> None:
        piece = block.pieces(days)[0]
        with state.precision.forward():
            prediction = state.model(*piece.inputs)
        loss(prediction, piece.target_BNK, piece.label_mask_BNK)["total"].backward()

    state.model.train()
    try:
        return HEADROOM * peak_bytes(step, days, state.device)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        release()
        return math.inf
    finally:
        state.model.zero_grad(set_to_none=True)
