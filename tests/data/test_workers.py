"""Two spawned workers: each block exactly once, in order, the same as without them, and no hang."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from itertools import chain
from pathlib import Path

import pytest
import torch

from data.batch import DayBlock
from data.config import DataConfig
from data.loader import FoldBlocks
from data.splits import Fold
from data.store import MarketStore
from data.workers import WorkerBlocks

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def blocks(small_store: MarketStore, small_config: DataConfig) -> FoldBlocks:
    """The search fold in this process."""
    return FoldBlocks(small_store, small_store.splits(small_config).search, small_config, block_days=4)


@pytest.fixture(scope="module")
def workers(small_store: MarketStore, small_config: DataConfig, blocks: FoldBlocks) -> WorkerBlocks:
    """The same fold in two workers, which all tests but the last share."""
    return WorkerBlocks(small_store, blocks.fold, small_config, 4, num_workers=2)


def epoch(blocks: FoldBlocks, number: int) -> list[range]:
    return list(chain.from_iterable(blocks.steps(number, 7, 16, 120)))


def pids() -> set[int | None]:
    """Worker processes of this one that are alive."""
    return {process.pid for process in multiprocessing.active_children()}


def assert_same(block: DayBlock, expected: DayBlock) -> None:
    assert block.days == expected.days
    for name, value in vars(expected).items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(getattr(block, name), value, rtol=0, atol=0)


def test_two_workers_make_each_block_once_in_order_epoch_after_epoch(blocks: FoldBlocks, workers: WorkerBlocks) -> None:
    orders, seen = [epoch(blocks, number) for number in range(3)], []
    for order in orders:
        streamed = list(workers.stream(order))
        assert [block.days for block in streamed] == order
        for block in streamed:
            assert_same(block, blocks.block(block.days))
        seen.append(pids())
    assert orders[0] != orders[1] != orders[2]
    assert seen[0] == seen[1] == seen[2], "the workers stay alive"
    assert len(seen[0]) >= 2


def test_the_scored_days_come_from_workers_as_from_the_fold(blocks: FoldBlocks, workers: WorkerBlocks) -> None:
    for block, expected in zip(workers.in_order(workers.fold.score), blocks.in_order(blocks.fold.score), strict=True):
        assert_same(block, expected)


def test_the_processes_own_random_numbers_are_left_alone(blocks: FoldBlocks, workers: WorkerBlocks) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    list(workers.stream(epoch(blocks, 0)[:2]))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_stream_that_another_has_ended_says_so(blocks: FoldBlocks, workers: WorkerBlocks) -> None:
    first = workers.stream(epoch(blocks, 0))
    next(first)
    order = epoch(blocks, 1)
    second = workers.stream(order)
    begun = next(second)
    with pytest.raises(RuntimeError, match="one stream of a WorkerBlocks is read at a time"):
        next(first)
    assert begun.days == order[0]


def test_a_stream_of_fewer_blocks_than_workers_ends(blocks: FoldBlocks, workers: WorkerBlocks) -> None:
    for order in (epoch(blocks, 0)[:1], [], epoch(blocks, 1)[:1]):
        assert [block.days for block in workers.stream(order)] == order


def test_an_epoch_that_is_left_early_does_not_show_in_the_next(blocks: FoldBlocks, workers: WorkerBlocks) -> None:
    stream = workers.stream(epoch(blocks, 0))
    for _ in range(3):
        next(stream)
    order = epoch(blocks, 1)
    assert [block.days for block in workers.stream(order)] == order


def test_what_crosses_to_a_worker_is_small_and_plain(
    small_store: MarketStore, small_config: DataConfig, blocks: FoldBlocks
) -> None:
    workers = WorkerBlocks(small_store, blocks.fold, small_config, 4, num_workers=1)
    assert len(pickle.dumps(workers._loader.dataset)) < 10_000
    assert workers._loader.multiprocessing_context.get_start_method() == "spawn"


@pytest.mark.parametrize("num_workers", [0, -1])
def test_no_worker_at_all_is_refused(
    small_store: MarketStore, small_config: DataConfig, blocks: FoldBlocks, num_workers: int
) -> None:
    with pytest.raises(ValueError, match="num_workers must be at least 1"):
        WorkerBlocks(small_store, blocks.fold, small_config, 4, num_workers=num_workers)


def _lose_a_worker(store: Path, fold: Fold, config: DataConfig, order: list[range], told: Path) -> None:
    stream = WorkerBlocks(MarketStore.open(store), fold, config, 4, num_workers=2).stream(order)
    next(stream)
    try:
        os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)
        list(stream)
    except RuntimeError as error:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's own raises again for the other worker
        told.write_text(str(error))


def test_a_worker_that_dies_ends_the_stream_with_an_error(
    small_store: MarketStore, small_config: DataConfig, blocks: FoldBlocks, tmp_path: Path
) -> None:
    """In a process of its own: torch raises in the main thread whenever a child of it has died."""
    told, order = tmp_path / "told", epoch(blocks, 0) * 20
    arguments = (small_store.folder, blocks.fold, small_config, order, told)
    process = multiprocessing.get_context("spawn").Process(target=_lose_a_worker, args=arguments)
    process.start()
    process.join(100)
    assert process.exitcode is not None, "it hangs"
    assert "worker" in told.read_text()
