"""The Ray worker: an order in, one epoch per step out. Reused from trial to trial; knows the loop, not the study."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from typing import Any

import torch
from ray import tune

from data.loader import FoldBlocks
from data.splits import Fold
from data.store import MarketStore
from data.workers import WorkerBlocks
from trial.endings import TrialEnded
from trial.evaluate import EpochResult, Scores, predict
from trial.fit import fit
from trial.order import TrialOrder
from trial.predictions import SCALER, write_predictions, write_scaler
from trial.settings import Settings
from trial.state import TrainState, load_state, new_state, save_state
from trial.tracking import open_tracker

CHECKPOINT = "checkpoint.pt"
PREDICTIONS = "predictions.parquet"


class SweepTrial(tune.Trainable):
    """Each result is an EpochResult, or the word that the trial ended itself.

    The checkpoint is written before the result is sent, and carries every result so far: what the study lacks after a
    crash is in it.
    """

    def setup(self, config: dict[str, Any]) -> None:
        order = TrialOrder.model_validate_json(config["order"])
        torch.set_num_threads(order.machine.threads)
        self._first_memory = _resident_peak_mib()
        self._begin(order)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next order; false asks Ray for a fresh process, where this one has grown."""
        if _resident_peak_mib() - self._first_memory > Settings().actor_memory_growth_mib:
            return False
        self._begin(TrialOrder.model_validate_json(new_config["order"]))
        return True

    def _begin(self, order: TrialOrder) -> None:
        self.order = order
        self._results: Iterator[EpochResult] | None = None

    def step(self) -> dict[str, Any]:
        try:
            if self._results is None:
                self._results = self._run()
            result = next(self._results)
        except TrialEnded as end:
            return {"done": True, "ended": {"reason": end.reason, "sentence": end.sentence}, **self._where()}
        return {
            "epoch": result.epoch,
            "best_so_far": result.best_so_far,
            "result": result.to_dict(),
            "done": result.is_last,
            **self._where(),
        }

    def _run(self) -> Iterator[EpochResult]:
        """First the results that the study lacks, then the epochs that are still to be trained."""
        order = self.order
        state, blocks = self.build()
        if order.resume_from is not None:
            load_state(state, order.resume_from)
        for result in state.results[order.known_epochs :]:
            yield self._kept(result, state, blocks)
        order.folder.mkdir(parents=True, exist_ok=True)
        tracker = open_tracker(order)
        try:
            for result in fit(state, blocks, order.config, order.machine.recover_oom):
                save_state(state, order.folder / CHECKPOINT)
                tracker.log(result)
                if result.epoch > order.known_epochs:
                    yield self._kept(result, state, blocks)
        finally:
            tracker.finish()

    def build(self) -> tuple[TrainState, FoldBlocks]:
        """The model, its optimiser and the fold's blocks; a test puts a faulty block in here."""
        order = self.order
        store = MarketStore.open(order.store)
        fold = store.splits(order.config.data)[order.config.fold]
        blocks = _blocks(order, store, fold)
        state = new_state(order.config, blocks, order.machine.checkpointed)
        if order.machine.compiled:
            state.model.compile()
        return state, blocks

    def _kept(self, result: EpochResult, state: TrainState, blocks: FoldBlocks) -> EpochResult:
        """Writes the predictions before the last result is sent, so that COMPLETE means they are there."""
        if result.is_last:
            scores = state.scores or _scores_again(state, blocks)
            self.order.folder.mkdir(parents=True, exist_ok=True)
            write_scaler(self.order.folder / SCALER, state.scaler)
            write_predictions(self.order.folder / PREDICTIONS, scores, blocks.store)
        return result

    def _where(self) -> dict[str, Any]:
        return {"node": socket.gethostname(), "device": self.order.machine.device}


def _blocks(order: TrialOrder, store: MarketStore, fold: Fold) -> FoldBlocks:
    """In this process, or by workers where the machine's settings ask for them; the numbers are the same."""
    machine, config = order.machine, order.config
    arguments = (store, fold, config.data, config.train.block_days, torch.device(machine.device))
    return WorkerBlocks(*arguments, machine.loader_workers) if machine.loader_workers else FoldBlocks(*arguments)


def _scores_again(state: TrainState, blocks: FoldBlocks) -> Scores:
    """Predictions of a trial whose last epoch was trained and checkpointed, but not reported."""
    state.model.load_state_dict(state.average)
    return predict(state.model, blocks)


def _resident_peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
