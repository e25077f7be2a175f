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


class WorkerBlocks(FoldBlocks):
    """A fold whose blocks are made in `num_workers` processes, which stay alive from one stream to the next.

    One stream is read at a time: beginning another ends it.
    """

    def __init__(
        self,
        store: MarketStore,
        fold: Fold,
        config: DataConfig,
        block_days: int,
        device: torch.device | None = None,
        num_workers: int = 1,
    ) -> None:
        if num_workers < 1:
            raise ValueError(f"num_workers must be at least 1, got {num_workers}: without workers use FoldBlocks.")
        super().__init__(store, fold, config, block_days, device, where="mapped")
        self._order = _Order()
        self._loader = DataLoader(
            _Blocks(store.folder, fold, config, block_days),
            sampler=self._order,
            batch_size=None,
            num_workers=num_workers,
            prefetch_factor=2,
            persistent_workers=True,
            multiprocessing_context="spawn",
            timeout=TIMEOUT_SECONDS,
            generator=torch.Generator(),  # torch's own would be drawn from, and dropout would differ from no workers
        )
        self._streams = 0

    def stream(self, blocks: list[range]) -> Iterator[DayBlock]:
        """Each block exactly once, in the order given.

        Raises:
            RuntimeError: a worker died or was silent for too long, or another stream was begun meanwhile.
        """
        self._streams += 1
        mine, self._order.blocks = self._streams, list(blocks)
        made = iter(self._loader)
        while (block := _received(made)) is not None:
            if mine != self._streams:
                raise RuntimeError("one stream of a WorkerBlocks is read at a time, but another was begun.")
            yield block.to(self.device)


def _received(made: Iterator[DayBlock]) -> DayBlock | None:
    """The next block, None at the end; a worker that dies while it hands one over is torch's other way to tell."""
    try:
        return next(made, None)
    except (EOFError, ConnectionError) as error:
        raise RuntimeError("a worker died while it handed a block over.") from error


class _Order(Sampler):
    """The blocks of the coming stream; the loader reads it anew each time."""

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
