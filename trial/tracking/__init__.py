"""Experiment trackers beside the store: none, TensorBoard, Weights & Biases, or both.

The store is the record; a tracker is a copy for the eye. Its failure is said once and never hurts a trial.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from typing import Protocol

from data.loader import FoldBlocks
from search_spaces.errors import SpaceError
from trial.evaluate import EpochResult
from trial.order import TrialOrder
from trial.state import TrainState

EVENT_FILES, WANDB_FILES = "tensorboard", "wandb"  # folders of an attempt
logger = logging.getLogger(__name__)


class Tracker(Protocol):
    """What a training tells of its epochs."""

    def log(self, result: EpochResult, state: TrainState, blocks: FoldBlocks) -> None: ...

    def finish(self) -> None: ...


class Trackers:
    """All that the machine's settings ask for; one that fails is left out from then on."""

    def __init__(self, members: list[Tracker]) -> None:
        self.members = members

    def log(self, result: EpochResult, state: TrainState, blocks: FoldBlocks) -> None:
        for member in list(self.members):
            try:
                member.log(result, state, blocks)
            except TrackerError as error:
                logger.warning("a tracker does not take epoch %d and is left out: %s", result.epoch, error)
                self.members.remove(member)

    def finish(self) -> None:
        for member in self.members:
            try:
                member.finish()
            except TrackerError as error:
                logger.warning("a tracker does not end: %s", error)


class TrackerError(Exception):
    """A tracker could not do its work."""


def open_trackers(order: TrialOrder) -> Trackers:
    """Those that the machine's settings ask for and that can begin."""
    members: list[Tracker] = []
    for wanted, module in ((order.machine.tensorboard, "tensor_board"), (order.machine.wandb, "weights_and_biases")):
        if wanted:
            try:
                members.append(importlib.import_module(f"trial.tracking.{module}").open_tracker(order))
            except TrackerError as error:
                logger.warning("trial %d is not told to %s: %s", order.number, module.replace("_", " "), error)
    return Trackers(members)


def refuse_missing_trackers(tensorboard: bool, wandb: bool) -> None:
    """Raises SpaceError where a tracker is asked for that is not installed."""
    for wanted, package, name in ((tensorboard, "tensorboard", "TensorBoard"), (wandb, "wandb", "Weights & Biases")):
        if wanted and importlib.util.find_spec(package) is None:
            raise SpaceError(
                f"ATFT_{package.upper()} asks for {name}, but its package is not installed. Install it with "
                f"`pip install {package}`, or set ATFT_{package.upper()}=0."
            )
