"""A worker with blocks of the tests' own: one that predicts NaN, one that raises, one that takes its time."""

from __future__ import annotations

import math
import os
import signal
import time
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.trivial import TrivialTrial
from data.loader import FoldBlocks
from trial.average import make_average
from trial.order import TrialOrder
from trial.predictions import PREDICTIONS
from trial.state import TrainState
from trial.worker import SweepTrial

NAN_TRIAL, CRASHING_TRIAL, KILLED_TRIAL = 1, 2, 1


class NaNHead(nn.Module):
    def __init__(self, horizons: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(horizons))

    def forward(self, h_BNH: Tensor) -> Tensor:
        return (h_BNH.mean(-1, keepdim=True) * self.weight * float("nan")).unsqueeze(-1)


class CrashingHead(nn.Module):
    def forward(self, h_BNH: Tensor) -> Tensor:
        raise RuntimeError("the injected block gave up")


class FaultyTrial(SweepTrial):
    """Trial 1 diverges, trial 2 crashes, the others are sound."""

    def build(self, order: TrialOrder) -> tuple[TrainState, FoldBlocks]:
        state, blocks = super().build(order)
        if order.number == NAN_TRIAL:
            state.model.head = NaNHead(len(order.config.data.horizons))
            state.average = make_average(state.model, 0.97)
        if order.number == CRASHING_TRIAL:
            state.model.head = CrashingHead()
        return state, blocks


class PreemptedTrial(SweepTrial):
    """Trial 0 is taken away by SIGTERM in its third step, then cannot write its predictions, then is sound.

    Trial 1 is killed by SIGKILL before it begins.
    """

    def build(self, order: TrialOrder) -> tuple[TrainState, FoldBlocks]:
        state, blocks = super().build(order)
        if order.number == KILLED_TRIAL:
            os.kill(os.getpid(), signal.SIGKILL)
        if order.number == 0 and order.attempt == 1:
            (order.folder / PREDICTIONS).mkdir(parents=True)  # no file can be put in its place
        if order.number == 0 and order.attempt == 0:
            step = state.optimizer.step

            def step_and_be_told(*arguments: Any) -> Any:
                if state.step == 2:
                    os.kill(os.getpid(), signal.SIGTERM)
                return step(*arguments)

            state.optimizer.step = step_and_be_told  # type: ignore[method-assign]
        return state, blocks


class HungTrial(SweepTrial):
    """The first attempt at trial 0 never takes a step."""

    def build(self, order: TrialOrder) -> tuple[TrainState, FoldBlocks]:
        if order.number == 0 and order.attempt == 0:
            time.sleep(3600)
        return super().build(order)


class TellingTrial(SweepTrial):
    """Sound; writes beside its folders what its blocks are made by."""

    def build(self, order: TrialOrder) -> tuple[TrainState, FoldBlocks]:
        state, blocks = super().build(order)
        order.folder.parent.mkdir(parents=True, exist_ok=True)
        (order.folder.parent / "blocks").write_text(type(blocks).__name__)
        return state, blocks


class SlowTrial(SweepTrial):
    """Sound, but slow enough to be interrupted."""

    def step(self) -> dict[str, object]:
        time.sleep(0.7)
        return super().step()


class GrownTrial(TrivialTrial):
    """Its process is too large for a second trial."""

    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self._first_memory = -math.inf
