"""A trial that trains nothing: epochs of a given length whose values are a function of its parameters and the epoch."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator

from trial.evaluate import EpochResult
from trial.order import TrialOrder
from trial.worker import SweepTrial

SECONDS = "TRIVIAL_EPOCH_SECONDS"


class TrivialTrial(SweepTrial):
    """Sends what a trial sends, and costs what a trial costs besides its training."""

    def attempt(self) -> Iterator[EpochResult]:
        return trivial_epochs(self.order, float(os.environ.get(SECONDS, "0.05")))


def trivial_epochs(
    order: TrialOrder, seconds: float, done: int = 0, after: Callable[[int], None] = lambda epoch: None
) -> Iterator[EpochResult]:
    """Those that the store lacks.

    Args:
        order: of the trial.
        seconds: that an epoch takes.
        done: epochs that a checkpoint has, which are sent and not computed again.
        after: called when an epoch is computed, before it is sent: to write a checkpoint.
    """
    epochs = order.config.train.epochs
    best = -1.0
    for epoch in range(1, epochs + 1):
        value = trivial_value(order.config.resumable_hash, epoch)
        best = max(best, value)
        if epoch > max(done, order.known_epochs):
            time.sleep(seconds)
            after(epoch)
        if epoch <= order.known_epochs:
            continue
        yield EpochResult(
            epoch=epoch,
            is_last=epoch == epochs,
            value=value,
            best_so_far=best,
            losses={"total": 1.0},
            metrics={f"valid/rank_ic/{horizon}": value for horizon in order.config.data.horizons},
            daily_rank_ic={"2020-01-06": [value] * len(order.config.data.horizons)},
            seconds=seconds,
            peak_memory_mib=1.0,
            micro_batch=4,
            num_days_left_out=0,
            bad_steps=0,
        )


def trivial_value(config: str, epoch: int) -> float:
    """In [0, 0.1), equal for equal configurations."""
    digest = hashlib.sha256(f"{config}/{epoch}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48 / 10
