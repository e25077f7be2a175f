"""Blocks made by spawned worker processes: optional, for hosts whose cores outnumber their trials.

Never forked: a fork copies threads' locks in whatever state they are. Off by default: on two cores the view is faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from data.batch import DayBlock
from data.config import DataConfig
from data.loader import FoldBlocks
from data.splits import Fold
from data.store import MarketStore

TIMEOUT_SECONDS = 120.0  # a worker that is silent for longer is dead; the loader then raises


class WorkerBlocks:
    """Makes the blocks of a fold in `num_workers` processes, which stay alive from one call to the next."""

    def __init__(self, store: Path, fold: Fold, config: DataConfig, block_days: int, num_workers: int) -> None:
        if num_workers < 1:
            raise ValueError(f"num_workers must be at least 1, got {num_workers}: without workers use FoldBlocks.")
        self._order = _Order()
        self._loader = DataLoader(
            _Blocks(store, fold, config, block_days),
            sampler=self._order,
            batch_size=None,
            num_workers=num_workers,
            prefetch_factor=2,
            persistent_workers=True,
            multiprocessing_context="spawn",
            timeout=TIMEOUT_SECONDS,
        )

    def stream(self, blocks: list[range]) -> Iterator[DayBlock]:
        """Each block exactly once, in the order given.

        Raises:
            RuntimeError: a worker died or was silent for too long.
        """
        self._order.blocks = list(blocks)
        yield from self._loader


class _Order(Sampler):
    """The blocks of the coming epoch; the loader reads it anew each time."""

    def __init__(self) -> None:
        self.blocks: list[range] = []

    def __iter__(self) -> Iterator[range]:
        return iter(self.blocks)

    def __len__(self) -> int:
        return len(self.blocks)


class _Blocks(Dataset):
    """Opens the store in the worker, at its first block; what crosses to it is a path and plain settings."""

    def __init__(self, store: Path, fold: Fold, config: DataConfig, block_days: int) -> None:
        self._arguments = (store, fold, config, block_days)
        self._blocks: FoldBlocks | None = None

    def __getitem__(self, days: range) -> DayBlock:
        if self._blocks is None:
            torch.set_num_threads(1)
            store, fold, config, block_days = self._arguments
            self._blocks = FoldBlocks(MarketStore.open(store), fold, config, block_days)
        block = self._blocks.block(days)
        return replace(block, x_TNF=block.x_TNF.clone())  # the buffer is written again while this one travels
