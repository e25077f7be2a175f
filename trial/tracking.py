"""Experiment trackers beside the store: none, or Weights & Biases.

The store is the record; a tracker is a copy for the eye. Its failure is said once and never hurts a trial.
"""

from __future__ import annotations

import importlib.util
import logging
from typing import Any, Protocol

from search_spaces.errors import SpaceError
from trial.evaluate import EpochResult
from trial.order import TrialOrder

PROJECT = "atft-gat-fan"
logger = logging.getLogger(__name__)


class Tracker(Protocol):
    """What a worker tells of its epochs."""

    def log(self, result: EpochResult) -> None: ...

    def finish(self) -> None: ...


class NoTracker:
    """Tells nobody."""

    def log(self, result: EpochResult) -> None:
        pass

    def finish(self) -> None:
        pass


class WandbTracker:
    """One run per attempt at a trial, grouped by study; WANDB_MODE=offline keeps it on this machine."""

    def __init__(self, order: TrialOrder) -> None:
        import wandb  # optional: only where the machine's settings ask for it

        order.folder.mkdir(parents=True, exist_ok=True)
        self._error = wandb.Error
        self._run: Any = wandb.init(
            project=PROJECT,
            group=order.study,
            name=f"{order.study}-{order.number}",
            job_type=order.config.arm,
            config=order.config.model_dump(mode="json"),
            dir=order.folder,
            settings=wandb.Settings(silent=True, console="off"),
        )

    def log(self, result: EpochResult) -> None:
        losses = {f"loss/{name}": value for name, value in result.losses.items()}
        told = {"value": result.value, "best_so_far": result.best_so_far, "seconds": result.seconds}
        try:
            self._run.log(told | result.metrics | losses, step=result.epoch)
        except self._error as error:
            logger.warning("Weights & Biases does not take epoch %d: %s", result.epoch, error)

    def finish(self) -> None:
        try:
            self._run.finish()
        except self._error as error:
            logger.warning("Weights & Biases does not end the run: %s", error)


def open_tracker(order: TrialOrder) -> Tracker:
    """The tracker that the machine's settings ask for; none where it cannot begin."""
    if not order.machine.wandb:
        return NoTracker()
    import wandb

    try:
        return WandbTracker(order)
    except wandb.Error as error:
        logger.warning("Weights & Biases does not take trial %d: %s", order.number, error)
        return NoTracker()


def refuse_missing_tracker(wandb: bool) -> None:
    """Raises SpaceError where a tracker is asked for that is not installed."""
    if wandb and importlib.util.find_spec("wandb") is None:
        raise SpaceError(
            "ATFT_WANDB asks for Weights & Biases, but its package is not installed. Install it with "
            "`pip install wandb`, or set ATFT_WANDB=0."
        )
