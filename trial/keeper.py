"""When checkpoints are written: after every epoch, every so many seconds within one, and when the trial is interrupted.

A disk that is full costs the checkpoint and not the trial: it is said, and the earlier checkpoint stays.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from search_spaces.config import TrialConfig
from trial.checkpoint import save_state
from trial.events import Event
from trial.state import TrainState

CHECKPOINT = "checkpoint.safetensors"
logger = logging.getLogger(__name__)


class Keeper:
    """Writes one trial's checkpoint, always to the same place."""

    def __init__(self, path: Path, config: TrialConfig, seconds: float) -> None:
        self.path, self.config, self.seconds = path, config, seconds
        self._saved = time.monotonic()

    def after_step(self, state: TrainState) -> None:
        """Within an epoch: where the last checkpoint is old."""
        if time.monotonic() - self._saved >= self.seconds and (failure := self.save(state)) is not None:
            state.events.append(failure)

    def save(self, state: TrainState) -> Event | None:
        """Writes it; what kept it from being written, where something did."""
        self._saved = time.monotonic()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_state(state, self.config, self.path)
        except OSError as error:
            logger.info("no checkpoint after step %d: %s", state.step, error)
            return Event("checkpoint_failed", f"the checkpoint after step {state.step} could not be written: {error}")
        return None
