"""The training loop. `fit` is a generator of epoch results: a test is a `list()` of it, a Ray step one `next()`."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.utils import clip_grad_norm_

from data.batch import DayBlock
from data.loader import FoldBlocks
from model.losses.config import Loss
from search_spaces.config import TrialConfig
from trial.endings import diverged
from trial.evaluate import EpochResult, evaluate, predict
from trial.memory import smaller
from trial.state import TrainState


def fit(state: TrainState, blocks: FoldBlocks, config: TrialConfig, recover_oom: bool = False) -> Iterator[EpochResult]:
    """Trains from `state` to the last epoch, mutating it; yields after each epoch is trained and scored.

    With `recover_oom`, a step that does not fit in memory is taken again in smaller pieces.

    Raises:
        TrialEnded: the trial diverged, or its predictions rank nothing.
    """
    while state.epoch < config.train.epochs:
        started = time.perf_counter()
        losses, bad_steps = _train_epoch(state, blocks, config, recover_oom)
        with _averaged_weights(state):
            state.scores = predict(state.model, blocks)
        evaluation = evaluate(state.scores, blocks, config)
        state.epoch += 1
        result = EpochResult(
            epoch=state.epoch,
            is_last=state.epoch == config.train.epochs,
            value=evaluation.value,
            best_so_far=max([evaluation.value, *(r.value for r in state.results)]),
            losses=losses,
            metrics=evaluation.metrics,
            daily_rank_ic=evaluation.daily_rank_ic,
            seconds=time.perf_counter() - started,
            peak_memory_mib=_peak_memory_mib(state.device),
            micro_batch=state.micro_batch,
            num_days_left_out=evaluation.num_days_left_out,
            bad_steps=bad_steps,
        )
        state.results.append(result)
        yield result


def _train_epoch(
    state: TrainState, blocks: FoldBlocks, config: TrialConfig, recover_oom: bool
) -> tuple[dict[str, float], int]:
    """One epoch of steps; returns the mean of every loss part over the good steps, and the number of bad ones."""
    train = config.train
    steps = blocks.steps(state.epoch, config.seed, train.days_per_step, train.days_per_epoch)
    total_steps = len(steps) * train.epochs
    loss = config.build_loss()
    state.model.train()
    totals: dict[str, float] = {}
    bad, bad_in_a_row = 0, 0
    feed = Feed(blocks, steps, recover_oom)
    for number in range(len(steps)):
        rate = train.learning_rate * schedule(state.step, total_steps, train.warmup_share)
        for group in state.optimizer.param_groups:
            group["lr"] = rate * group["multiplier"]
        parts = feed.take(state, loss, number)
        norm = float(clip_grad_norm_(state.model.parameters(), train.clip_norm))
        state.step += 1
        if math.isfinite(norm) and math.isfinite(parts["total"]):
            state.optimizer.step()
            _update_average(state, train.ema_decay)
            totals = {name: totals.get(name, 0.0) + value for name, value in parts.items()}
            bad_in_a_row = 0
        else:
            bad, bad_in_a_row = bad + 1, bad_in_a_row + 1
        state.optimizer.zero_grad(set_to_none=True)
        if bad_in_a_row >= train.max_bad_steps or bad == len(steps):
            raise diverged(
                f"{bad_in_a_row} steps in a row had a non-finite loss or gradient (epoch {state.epoch + 1}, "
                f"step {state.step}, loss {parts['total']}, gradient norm {norm})"
            )
    return {name: value / (len(steps) - bad) for name, value in totals.items()}, bad


class Feed:
    """The blocks of an epoch's steps, in pieces that fit in memory."""

    def __init__(self, blocks: FoldBlocks, steps: list[list[range]], recover_oom: bool) -> None:
        self.blocks, self.steps, self.recover_oom = blocks, steps, recover_oom
        self._incoming: Iterator[DayBlock] | None = None

    def take(self, state: TrainState, loss: Loss, number: int) -> dict[str, float]:
        """Gradients and parts of one step; where it does not fit, in pieces of half as many days.

        Raises:
            RuntimeError: out of memory, where it may not recover or one day does not fit.
        """
        while True:
            if self._incoming is None:
                coming = [piece for step in self.steps[number:] for piece in _pieces(step, state.micro_batch)]
                self._incoming = self.blocks.stream(coming)
            try:
                return _accumulate(state, self._incoming, loss, _pieces(self.steps[number], state.micro_batch))
            except (RuntimeError, MemoryError) as error:
                if not self.recover_oom:
                    raise
                state.micro_batch = smaller(state.micro_batch, error)
                state.optimizer.zero_grad(set_to_none=True)
                self._incoming = None


def _pieces(step: list[range], micro_batch: int) -> list[range]:
    """The step's blocks in pieces of at most so many days."""
    return [days[first : first + micro_batch] for days in step for first in range(0, len(days), micro_batch)]


def _accumulate(state: TrainState, incoming: Iterator[DayBlock], loss: Loss, pieces: list[range]) -> dict[str, float]:
    """Gradients of the step's mean loss over days, piece by piece as they come; equal to those of one large batch."""
    num_days = sum(len(days) for days in pieces)
    totals: dict[str, float] = {}
    for _ in pieces:
        block = next(incoming)
        parts = loss(state.model(*block.inputs), block.target_BNK, block.label_mask_BNK)
        share = len(block.days) / num_days
        (parts["total"] * share).backward()
        for name, value in parts.items():
            totals[name] = totals.get(name, 0.0) + float(value.detach()) * share
    return totals


def schedule(step: int, total_steps: int, warmup_share: float) -> float:
    """Factor of the peak learning rate: linear warm-up, then a cosine to zero."""
    warmup = max(1, round(total_steps * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total_steps - warmup)))


@torch.no_grad()
def _update_average(state: TrainState, decay: float) -> None:
    """Exponential moving average of the weights; the decay warms up, or short runs keep their start."""
    warm = min(decay, (1 + state.step) / (10 + state.step))
    for name, value in state.model.state_dict().items():
        if value.dtype.is_floating_point:
            state.average[name].lerp_(value, 1 - warm)
        else:
            state.average[name].copy_(value)


@contextmanager
def _averaged_weights(state: TrainState) -> Iterator[None]:
    """The model with its averaged weights, inside the block alone."""
    own = {name: value.detach().clone() for name, value in state.model.state_dict().items()}
    state.model.load_state_dict(state.average)
    try:
        yield
    finally:
        state.model.load_state_dict(own)


def _peak_memory_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
