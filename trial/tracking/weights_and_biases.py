"""Weights & Biases: one run per attempt at a trial, grouped by study; WANDB_MODE=offline keeps it on this machine."""

from __future__ import annotations

from typing import Any

from data.loader import FoldBlocks
from trial.evaluate import EpochResult
from trial.order import TrialOrder
from trial.state import TrainState
from trial.tracking import Tracker, TrackerError

PROJECT = "atft-gat-fan"


class WandbTracker:
    """Scalars of every epoch."""

    def __init__(self, order: TrialOrder) -> None:
        import wandb  # optional: only where the machine's settings ask for it

        order.folder.mkdir(parents=True, exist_ok=True)
        self._error = wandb.Error
        try:
            self._run: Any = wandb.init(
                project=PROJECT,
                group=order.study,
                name=f"{order.study}-{order.number}",
                job_type=order.config.arm,
                config=order.config.model_dump(mode="json"),
                dir=order.folder,
                settings=wandb.Settings(silent=True, console="off"),
            )
        except wandb.Error as error:
            raise TrackerError(str(error)) from error

    def log(self, result: EpochResult, state: TrainState, blocks: FoldBlocks) -> None:
        losses = {f"loss/{name}": value for name, value in result.losses.items()}
        told = {"value": result.value, "best_so_far": result.best_so_far, "seconds": result.seconds}
        try:
            self._run.log(told | result.metrics | losses, step=result.epoch)
        except self._error as error:
            raise TrackerError(str(error)) from error

    def finish(self) -> None:
        try:
            self._run.finish()
        except self._error as error:
            raise TrackerError(str(error)) from error


def open_tracker(order: TrialOrder) -> Tracker:
    """Raises TrackerError where it cannot begin."""
    return WandbTracker(order)
