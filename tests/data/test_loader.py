"""The fold's loader: steps that (seed, epoch) alone decide, inside the training days, spread over time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.config import DataConfig
from data.errors import DataError
from data.loader import FoldBlocks
from data.splits import Splits
from data.store import MarketStore
from tests.data.helpers import properties

DAYS_PER_STEP, DAYS_PER_EPOCH, BLOCK_DAYS = 16, 120, 4


@pytest.fixture(scope="session")
def by_width(small_store: MarketStore, small_splits: Splits, small_config: DataConfig) -> dict[int, FoldBlocks]:
    """The search fold (138 training days) in blocks of any width that divides a step of 16 days, and in huge ones."""
    fold = small_splits.search
    return {width: FoldBlocks(small_store, fold, small_config, width) for width in (1, 2, 4, 8, 16, 64, 100, 138, 200)}


def steps_of(blocks: FoldBlocks, epoch: int = 0, seed: int = 7) -> list[list[range]]:
    return blocks.steps(epoch, seed, DAYS_PER_STEP, DAYS_PER_EPOCH)


def days_of(steps: list[list[range]]) -> list[int]:
    """All days of an epoch, in order."""
    return list(chain.from_iterable(chain.from_iterable(steps)))


# --- steps


@properties(200)
@given(
    width=st.sampled_from([1, 2, 4, 8, 16, 64]),
    epoch=st.integers(0, 500),
    seed=st.integers(0, 2**31),
    blocks_per_step=st.integers(1, 8),
    days_per_epoch=st.integers(1, 400),
)
def test_every_step_lies_in_the_training_days_and_no_day_comes_twice(
    by_width: dict[int, FoldBlocks], width: int, epoch: int, seed: int, blocks_per_step: int, days_per_epoch: int
) -> None:
    blocks = by_width[width]
    steps = blocks.steps(epoch, seed, blocks_per_step * width, days_per_epoch)
    days = days_of(steps)
    assert steps
    assert all(step and all(len(block) == width for block in step) for step in steps)
    assert set(days) <= set(blocks.fold.train)
    assert max(Counter(days).values()) == 1


@pytest.mark.parametrize("width", [100, 138, 200])
def test_a_block_may_be_longer_than_half_of_the_history(by_width: dict[int, FoldBlocks], width: int) -> None:
    blocks = by_width[width]
    for epoch in range(30):
        steps = steps_of(blocks, epoch=epoch)
        assert [len(step) for step in steps] == [1]
        assert set(days_of(steps)) <= set(blocks.fold.train)


@properties(60)
@given(
    width=st.sampled_from([1, 2, 4, 8]),
    epoch=st.integers(0, 500),
    seed=st.integers(0, 2**31),
    days_per_epoch=st.integers(16, 130),
)
def test_an_epoch_has_the_days_asked_in_full_steps(
    by_width: dict[int, FoldBlocks], width: int, epoch: int, seed: int, days_per_epoch: int
) -> None:
    steps = by_width[width].steps(epoch, seed, 16, days_per_epoch)
    assert {sum(map(len, step)) for step in steps} == {16}
    assert abs(16 * len(steps) - days_per_epoch) < 16 + width


def test_more_days_than_the_history_holds_are_capped(by_width: dict[int, FoldBlocks]) -> None:
    for width in (1, 2, 4, 8, 16):
        blocks = by_width[width]
        steps = blocks.steps(0, 7, DAYS_PER_STEP, 10_000)
        assert steps == blocks.steps(0, 7, DAYS_PER_STEP, blocks.num_train_days)
        assert 138 - 2 * 16 - width < len(days_of(steps)) <= 138


def test_the_same_seed_and_epoch_give_the_same_steps(
    small_store: MarketStore, small_splits: Splits, small_config: DataConfig, search_blocks: FoldBlocks
) -> None:
    fresh = FoldBlocks(small_store, small_splits.search, small_config, BLOCK_DAYS)
    list(search_blocks.scored())
    assert steps_of(search_blocks, epoch=3, seed=11) == steps_of(fresh, epoch=3, seed=11)


def test_the_global_generators_do_not_matter(search_blocks: FoldBlocks) -> None:
    np.random.seed(0)
    before = steps_of(search_blocks)
    np.random.seed(1)
    assert steps_of(search_blocks) == before


def test_epochs_differ(search_blocks: FoldBlocks) -> None:
    epochs = [str(steps_of(search_blocks, epoch=epoch)) for epoch in range(20)]
    assert len(set(epochs)) == 20


def test_seeds_differ(search_blocks: FoldBlocks) -> None:
    seeds = [str(steps_of(search_blocks, seed=seed)) for seed in range(20)]
    assert len(set(seeds)) == 20


def test_seed_and_epoch_are_not_interchangeable(search_blocks: FoldBlocks) -> None:
    assert steps_of(search_blocks, epoch=1, seed=2) != steps_of(search_blocks, epoch=2, seed=1)


def test_the_partition_shifts_so_that_every_day_is_learned_from(search_blocks: FoldBlocks) -> None:
    epochs = [steps_of(search_blocks, epoch=epoch) for epoch in range(60)]
    offsets = {(block.start - search_blocks.fold.train.start) % BLOCK_DAYS for e in epochs for s in e for block in s}
    assert offsets == set(range(BLOCK_DAYS))
    assert set(chain.from_iterable(map(days_of, epochs))) == set(search_blocks.fold.train)


def test_a_step_takes_one_block_from_each_part_of_history(search_blocks: FoldBlocks) -> None:
    train = search_blocks.fold.train
    for epoch in range(30):
        for step in steps_of(search_blocks, epoch=epoch):
            quarters = [4 * (block.start - train.start) / len(train) for block in step]
            assert all(part - 0.2 <= quarter < part + 1.2 for part, quarter in enumerate(sorted(quarters)))


def test_no_two_blocks_of_a_step_share_label_days(search_blocks: FoldBlocks, small_config: DataConfig) -> None:
    longest = small_config.horizons[-1]
    gaps = [
        after.start - before[-1]
        for epoch in range(50)
        for step in steps_of(search_blocks, epoch=epoch)
        for before, after in pairwise(sorted(step, key=lambda block: block.start))
    ]
    assert min(gaps) > longest, f"{np.mean(np.array(gaps) <= longest):.1%} of {len(gaps)} pairs are neighbours"


# --- thin days


def thin(store: MarketStore, days: list[int], num_stocks: int) -> MarketStore:
    """The store with closes of the first few stocks alone on some days."""
    observed = np.array(store.observed)
    observed[days, num_stocks:] = False
    return replace(store, observed=observed)


def test_a_day_with_too_few_stocks_is_told(
    small_store: MarketStore, small_splits: Splits, small_config: DataConfig
) -> None:
    fold = small_splits.search
    blocks = FoldBlocks(thin(small_store, [fold.score[2]], 6), fold, small_config, BLOCK_DAYS)
    assert [blocks.has_enough_stocks(day) for day in fold.score[:5]] == [True, True, False, True, True]


def test_a_day_on_which_one_horizon_is_unknown_has_not_enough_stocks(
    small_store: MarketStore, small_splits: Splits, small_config: DataConfig
) -> None:
    fold, labels = small_splits.search, np.array(small_store.labels)
    labels[fold.score[1], :, 1] = np.nan
    blocks = FoldBlocks(replace(small_store, labels=labels), fold, small_config, BLOCK_DAYS)
    assert not blocks.has_enough_stocks(fold.score[1])


def test_a_training_day_with_too_few_stocks_never_counts(
    small_store: MarketStore, small_splits: Splits, small_config: DataConfig
) -> None:
    day = small_splits.search.train[50]
    blocks = FoldBlocks(thin(small_store, [day], 6), small_splits.search, small_config, BLOCK_DAYS)
    holding = [b for e in range(20) for step in steps_of(blocks, epoch=e) for b in step if day in b]
    assert not any(blocks.block(days).label_mask_BNK[days.index(day)].any() for days in holding)


@pytest.mark.parametrize("fold", ["search", "confirm-1", "confirm-2"])
def test_a_fold_without_enough_stocks_is_refused(
    small_store: MarketStore, small_splits: Splits, small_config: DataConfig, fold: str
) -> None:
    spoilt = thin(small_store, list(small_splits[fold].score), 6)
    with pytest.raises(DataError, match=rf"fold {fold} must have days with at least 10 labelled stocks"):
        FoldBlocks(spoilt, small_splits[fold], small_config, BLOCK_DAYS)


# --- blocks


@pytest.mark.parametrize("width", [1, 4, 16, 100])
def test_scored_days_come_once_each_in_order(by_width: dict[int, FoldBlocks], width: int) -> None:
    blocks = by_width[width]
    ranges = [block.days for block in blocks.scored()]
    assert list(chain.from_iterable(ranges)) == list(blocks.fold.score)
    assert all(len(days) == width for days in ranges[:-1])


@pytest.mark.parametrize("width", [1, 16])
def test_the_block_width_does_not_change_what_a_scored_day_shows(by_width: dict[int, FoldBlocks], width: int) -> None:
    shown = {}
    for chosen in (width, 4):
        rows, targets = [], []
        for block in by_width[chosen].scored():
            rows += [block.x_TNF[b : b + 10].clone() for b in range(len(block.days))]
            targets.append(block.target_BNK)
        shown[chosen] = (np.stack(rows), np.concatenate(targets))
    np.testing.assert_array_equal(shown[width][0], shown[4][0])
    np.testing.assert_array_equal(shown[width][1], shown[4][1])


def test_blocks_reuse_one_buffer(search_blocks: FoldBlocks) -> None:
    addresses = {block.x_TNF.data_ptr() for block in search_blocks.scored()}
    assert len(addresses) == 1


def test_a_short_block_after_a_long_one_shows_no_stale_row(search_blocks: FoldBlocks) -> None:
    train = search_blocks.fold.train
    expected = search_blocks.block(range(train[60], train[61])).x_TNF.clone()
    search_blocks.block(range(train[90], train[94]))
    np.testing.assert_array_equal(search_blocks.block(range(train[60], train[61])).x_TNF, expected)


def test_the_loader_holds_no_copy_of_the_data(search_blocks: FoldBlocks) -> None:
    held = sum(value.nbytes for value in vars(search_blocks).values() if isinstance(value, np.ndarray))
    assert held < search_blocks.store.features.nbytes / 10
    assert isinstance(search_blocks.store.features, np.memmap)


def test_folds_have_scalers_of_their_own(
    small_store: MarketStore, small_splits: Splits, small_config: DataConfig
) -> None:
    medians = [FoldBlocks(small_store, fold, small_config, 4).scaler.median for fold in small_splits.folds]
    assert not np.array_equal(medians[0], medians[1])
    assert not np.array_equal(medians[1], medians[2])
