"""The Ray worker: an order in, one epoch per step out. Reused from trial to trial; knows the loop, not the study."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import ray
import torch
from ray import tune

from data.loader import FoldBlocks
from trial.endings import TrialEnded
from trial.evaluate import EpochResult
from trial.failures import UNWRITTEN
from trial.interrupt import (
    RECYCLED,
    Farewell,
    Interrupted,
    Interruption,
    Stopped,
    Unwritten,
    deliver_again,
    leave_word,
)
from trial.memory import peak_memory_mib
from trial.order import TrialOrder
from trial.session import built, run_attempt
from trial.state import TrainState


class SweepTrial(tune.Trainable):
    """Each result is an EpochResult, or the word that the trial ended itself or could not write what has to be kept.

    On SIGTERM or SIGINT it leaves after the step under way, writes a checkpoint, and then hands the signal to Ray. On
    SIGTERM it also leaves its word in the attempt's folder, because Ray's reaction takes it out of the world.
    """

    def setup(self, config: dict[str, Any]) -> None:
        order = TrialOrder.model_validate_json(config["order"])
        torch.set_num_threads(order.machine.threads)
        self._first_memory = peak_memory_mib(torch.device("cpu"))
        self._begin(order)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next order. A process that has grown ends itself: to a false answer Tune calls no callback."""
        order = TrialOrder.model_validate_json(new_config["order"])
        if peak_memory_mib(torch.device("cpu")) - self._first_memory > order.machine.growth_mib:
            self.cleanup()
            leave_word(order.folder, RECYCLED)
            os._exit(0)
        self._begin(order)
        return True

    def _begin(self, order: TrialOrder) -> None:
        self.cleanup()
        self.order, self.interruption = order, Interruption(order.folder)
        self._results: Iterator[EpochResult] | None = None
        self._farewell = Farewell(order.folder)

    def step(self) -> dict[str, Any]:
        try:
            with self.interruption:
                if self._results is None:
                    self._results = self.attempt()
                result = next(self._results)
        except TrialEnded as end:
            return {"done": True, "ended": {"reason": end.reason, "sentence": end.sentence}, **self._where()}
        except Unwritten as unwritten:
            return {"done": True, "left": UNWRITTEN, "why": str(unwritten), **self._where()}
        except Interrupted as interrupted:
            deliver_again(interrupted.number)
            raise
        except Stopped as stopped:
            return {"done": True, "left": "interrupted", "why": f"stopped {stopped}", **self._where()}
        return {
            "epoch": result.epoch,
            "best_so_far": result.best_so_far,
            "result": result.to_dict(),
            "done": result.is_last,
            **self._where(),
        }

    def cleanup(self) -> None:
        """Closes what a trial that was stopped early has open: logs, trackers, the profiler."""
        if (farewell := getattr(self, "_farewell", None)) is not None:
            farewell.withdraw()
        if (results := getattr(self, "_results", None)) is not None:
            results.close()

    def attempt(self) -> Iterator[EpochResult]:
        """The epochs that the store lacks; a benchmark puts some that train nothing in here."""
        return run_attempt(self.order, self.interruption, make=self.build)

    def build(self, order: TrialOrder) -> tuple[TrainState, FoldBlocks]:
        """The model, its optimiser and the fold's blocks; a test puts a faulty block in here."""
        return built(order)

    def _where(self) -> dict[str, Any]:
        """Host, and which of its GPUs."""
        gpus = ray.get_gpu_ids() if self.order.machine.device == "cuda" else []
        device = f"cuda:{','.join(map(str, gpus))}" if gpus else self.order.machine.device
        return {"node": socket.gethostname(), "device": device}
