"""From a configuration and a prepared market to what the loop needs, in a sweep and in a single training alike."""

from __future__ import annotations

import torch

from data.loader import FoldBlocks
from data.splits import Fold
from data.store import MarketStore
from data.workers import WorkerBlocks
from search_spaces.config import TrialConfig
from trial.machine import Machine
from trial.memory import choose_micro_batch
from trial.state import TrainState, new_state


def fold_of(config: TrialConfig, store: MarketStore) -> Fold:
    """The configuration's fold, its validation days taken from the training days.

    Raises:
        DataError: no such fold, or too few days to learn from.
    """
    fold = store.splits(config.data)[config.fold]
    return fold.watching(config.train.validation_days, config.data.purge)


def blocks_of(config: TrialConfig, store: MarketStore, device: str = "cpu") -> FoldBlocks:
    """The fold's blocks, made in this process."""
    return FoldBlocks(store, fold_of(config, store), config.data, config.train.block_days, torch.device(device))


def build(config: TrialConfig, store: MarketStore, machine: Machine) -> tuple[TrainState, FoldBlocks]:
    """A fresh state, and the fold's blocks: in this process, or made by workers; the numbers are the same."""
    if machine.loader_workers:
        arguments = (store, fold_of(config, store), config.data, config.train.block_days, torch.device(machine.device))
        blocks: FoldBlocks = WorkerBlocks(*arguments, machine.loader_workers)
    else:
        blocks = blocks_of(config, store, machine.device)
    state = new_state(config, blocks, machine.checkpointed)
    if machine.compiled:
        state.model.compile()
    return state, blocks


def probe_memory(state: TrainState, blocks: FoldBlocks, config: TrialConfig, machine: Machine) -> None:
    """Chooses the micro-batch before the first step, where the machine may recover from a lack of memory."""
    if machine.recover_oom and state.step == 0:
        limit = None if machine.memory_mib is None else machine.memory_mib * 2**20
        choose_micro_batch(state, blocks, config.build_loss(), limit)
