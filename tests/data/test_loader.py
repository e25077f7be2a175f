"""The fold's loader: steps that (seed, epoch) alone decide, inside the training days, spread over time; its blocks."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data.batch import DayBlock
from data.config import CorrelationGraphConfig, DataConfig, LabelConfig
from data.errors import DataError
from data.loader import FoldBlocks, left_out
from data.splits import Splits
from data.store import MarketStore

DAYS_PER_STEP, DAYS_PER_EPOCH, BLOCK_DAYS = 16, 120, 4
REPEATABLE = settings(max_examples=100, deadline=None, derandomize=True, database=None)


@pytest.fixture(scope="module")
def splits(small_store: MarketStore, small_config: DataConfig) -> Splits:
    return small_store.splits(small_config)


@pytest.fixture(scope="module")
def by_width(small_store: MarketStore, splits: Splits, small_config: DataConfig) -> dict[int, FoldBlocks]:
    """The search fold in blocks of any width that divides a step of 16 days, and in huge ones."""
    return {
        width: FoldBlocks(small_store, splits.search, small_config, width) for width in (1, 2, 4, 8, 16, 64, 100, 500)
    }


@pytest.fixture(scope="module")
def blocks(by_width: dict[int, FoldBlocks]) -> FoldBlocks:
    """The search fold in blocks of 4 days."""
    return by_width[BLOCK_DAYS]


def steps_of(blocks: FoldBlocks, epoch: int = 0, seed: int = 7) -> list[list[range]]:
    return blocks.steps(epoch, seed, DAYS_PER_STEP, DAYS_PER_EPOCH)


def days_of(steps: list[list[range]]) -> list[int]:
    """All days of an epoch, in order."""
    return list(chain.from_iterable(chain.from_iterable(steps)))


def kept(block: DayBlock) -> dict[str, torch.Tensor]:
    """Copies of a block's tensors, which outlive the reused buffer."""
    return {name: value.clone() for name, value in vars(block).items() if isinstance(value, torch.Tensor)}


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    for name, value in a.items():
        torch.testing.assert_close(b[name], value, rtol=0, atol=0)


# --- steps


@REPEATABLE
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


@pytest.mark.parametrize("width", [100, 500])
def test_a_block_may_be_longer_than_half_of_the_history(by_width: dict[int, FoldBlocks], width: int) -> None:
    blocks = by_width[width]
    for epoch in range(30):
        steps = steps_of(blocks, epoch=epoch)
        assert [len(step) for step in steps] == [1]
        assert set(days_of(steps)) <= set(blocks.fold.train)


@REPEATABLE
@given(
    width=st.sampled_from([1, 2, 4, 8]),
    epoch=st.integers(0, 500),
    seed=st.integers(0, 2**31),
    days_per_epoch=st.integers(16, 120),
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
        assert blocks.num_train_days - 2 * 16 - width < len(days_of(steps)) <= blocks.num_train_days


def test_the_order_is_that_of_seed_and_epoch_whatever_was_done_before(
    small_store: MarketStore, splits: Splits, small_config: DataConfig, blocks: FoldBlocks
) -> None:
    fresh = FoldBlocks(small_store, splits.search, small_config, BLOCK_DAYS)
    list(blocks.in_order(blocks.fold.score))
    np.random.seed(0)
    torch.manual_seed(0)
    assert steps_of(blocks, epoch=3, seed=11) == steps_of(fresh, epoch=3, seed=11)


def test_epochs_and_seeds_differ_and_are_not_interchangeable(blocks: FoldBlocks) -> None:
    assert len({str(steps_of(blocks, epoch=epoch)) for epoch in range(20)}) == 20
    assert len({str(steps_of(blocks, seed=seed)) for seed in range(20)}) == 20
    assert steps_of(blocks, epoch=1, seed=2) != steps_of(blocks, epoch=2, seed=1)


def test_the_partition_shifts_so_that_every_day_is_learned_from(blocks: FoldBlocks) -> None:
    epochs = [steps_of(blocks, epoch=epoch) for epoch in range(60)]
    offsets = {(block.start - blocks.fold.train.start) % BLOCK_DAYS for e in epochs for s in e for block in s}
    assert offsets == set(range(BLOCK_DAYS))
    assert set(chain.from_iterable(map(days_of, epochs))) == set(blocks.fold.train)


def test_the_steps_of_an_epoch_are_not_in_calendar_order(blocks: FoldBlocks) -> None:
    firsts = [[step[0].start for step in steps_of(blocks, epoch=epoch)] for epoch in range(10)]
    assert any(starts != sorted(starts) for starts in firsts)


def test_a_step_takes_one_block_from_each_part_of_history(blocks: FoldBlocks) -> None:
    train = blocks.fold.train
    for epoch in range(30):
        for step in steps_of(blocks, epoch=epoch):
            quarters = [4 * (block.start - train.start) / len(train) for block in step]
            assert all(part - 0.2 <= quarter < part + 1.2 for part, quarter in enumerate(sorted(quarters)))


def test_no_two_blocks_of_a_step_share_label_days(blocks: FoldBlocks, small_config: DataConfig) -> None:
    gaps = [
        after.start - before[-1]
        for epoch in range(50)
        for step in steps_of(blocks, epoch=epoch)
        for before, after in pairwise(sorted(step, key=lambda block: block.start))
    ]
    assert min(gaps) > small_config.reach


# --- days with too few stocks


def thin(store: MarketStore, days: list[int], num_stocks: int, folder: Path) -> MarketStore:
    """The store, its caches elsewhere, with the first few stocks alone in the universe on some days."""
    eligible = np.array(store.eligible)
    eligible[days, num_stocks:] = False
    return replace(store, folder=folder, eligible=eligible)


def test_days_with_too_few_stocks_are_told_and_counted(
    small_store: MarketStore, splits: Splits, small_config: DataConfig, blocks: FoldBlocks, tmp_path: Path
) -> None:
    fold = splits.search
    spoilt = [fold.score[2], fold.score[5], fold.train[50]]
    thinner = FoldBlocks(thin(small_store, spoilt, 9, tmp_path), fold, small_config, BLOCK_DAYS)
    assert blocks.num_days_left_out == 0
    assert thinner.num_days_left_out == 3
    assert [day for day in (*fold.train, *fold.score) if not thinner.has_enough_stocks(day)] == sorted(spoilt)


def test_a_day_on_which_one_horizon_is_unknown_has_not_enough_stocks(
    small_store: MarketStore, splits: Splits, small_config: DataConfig, tmp_path: Path
) -> None:
    fold, labels = splits.search, np.array(small_store.labels)
    labels[fold.score[1], :, 1] = np.nan
    blocks = FoldBlocks(replace(small_store, folder=tmp_path, labels=labels), fold, small_config, BLOCK_DAYS)
    assert not blocks.has_enough_stocks(fold.score[1])
    assert blocks.num_days_left_out == 1


def test_a_training_day_with_too_few_stocks_never_counts(
    small_store: MarketStore, splits: Splits, small_config: DataConfig, tmp_path: Path
) -> None:
    day = splits.search.train[50]
    blocks = FoldBlocks(thin(small_store, [day], 9, tmp_path), splits.search, small_config, BLOCK_DAYS)
    holding = [b for e in range(20) for step in steps_of(blocks, epoch=e) for b in step if day in b]
    assert holding
    for days in holding:
        counts = blocks.block(days).label_mask_BNK.any(dim=1).all(dim=1)
        assert [d for d, here in zip(days, counts, strict=True) if not here] == [day]


@pytest.mark.parametrize(
    "labels",
    [
        LabelConfig(),
        LabelConfig(shape="raw"),
        LabelConfig(scale_by_volatility=True),
        LabelConfig(shape="rank_gaussian"),
    ],
    ids=["default", "raw", "volatility", "rank"],
)
def test_a_day_is_left_out_exactly_when_its_block_has_nothing_to_rank(
    small_store: MarketStore, splits: Splits, small_config: DataConfig, labels: LabelConfig, tmp_path: Path
) -> None:
    """Equal labels have no z-score; a stock without a volatility has no scaled label."""
    fold, some = splits.search, np.array(small_store.labels)
    volatility = np.array(small_store.volatility)
    some[fold.score[3], :, 0], volatility[fold.score[6]] = 0.01, np.nan
    store = replace(small_store, folder=tmp_path, labels=some, volatility=volatility)
    blocks = FoldBlocks(store, fold, small_config.model_copy(update={"labels": labels}), BLOCK_DAYS)
    ranked = torch.cat([block.label_mask_BNK.any(dim=1).all(dim=1) for block in blocks.in_order(blocks.fold.score)])
    assert [blocks.has_enough_stocks(day) for day in fold.score] == ranked.tolist()


@pytest.mark.parametrize("fold", ["search", "confirm-1", "confirm-2"])
def test_a_fold_without_enough_stocks_is_refused(
    small_store: MarketStore, splits: Splits, small_config: DataConfig, fold: str, tmp_path: Path
) -> None:
    spoilt = thin(small_store, list(splits[fold].score), 6, tmp_path)
    with pytest.raises(DataError, match=rf"fold {fold} must have days with at least 10 labelled stocks"):
        FoldBlocks(spoilt, splits[fold], small_config, BLOCK_DAYS)


# --- blocks


@pytest.mark.parametrize("width", [1, 4, 16, 100])
def test_scored_days_come_once_each_in_order(by_width: dict[int, FoldBlocks], width: int) -> None:
    blocks = by_width[width]
    ranges = [block.days for block in blocks.in_order(blocks.fold.score)]
    assert list(chain.from_iterable(ranges)) == list(blocks.fold.score)
    assert all(len(days) == width for days in ranges[:-1])


@pytest.mark.parametrize("width", [1, 16, 100])
def test_the_block_width_does_not_change_what_a_scored_day_shows(by_width: dict[int, FoldBlocks], width: int) -> None:
    shown = []
    for chosen in (width, 4):
        served = by_width[chosen].in_order(by_width[chosen].fold.score)
        parts = [(block.windows_BLNF.clone(), block.target_BNK) for block in served]
        shown.append([torch.cat(column) for column in zip(*parts, strict=True)])
    for mine, theirs in zip(*shown, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


def test_a_stream_gives_the_blocks_that_are_made_one_by_one(blocks: FoldBlocks) -> None:
    wanted = list(chain.from_iterable(steps_of(blocks)))
    streamed = [(block.days, kept(block)) for block in blocks.stream(wanted)]
    assert [days for days, _ in streamed] == wanted
    for days, block in streamed:
        assert_same(kept(blocks.block(days)), block)


def test_a_stream_of_nothing_is_empty(blocks: FoldBlocks) -> None:
    assert list(blocks.stream([])) == []


def test_the_rows_of_a_block_are_scaled_by_the_folds_training_days_and_clipped(
    blocks: FoldBlocks, small_store: MarketStore, small_config: DataConfig
) -> None:
    train, days = blocks.fold.train, range(blocks.fold.train[80], blocks.fold.train[84])
    rows = blocks.block(days).x_TNF
    for feature, column in enumerate(np.moveaxis(np.asarray(small_store.features), 2, 0)):
        seen = column[train.start : train.stop]
        low, median, high = (
            np.quantile(seen[np.isfinite(seen)], [0.25, 0.5, 0.75]) if np.isfinite(seen).any() else (0, 0, 0)
        )
        scale = (high - low) / 1.349 if high > low else 1
        raw = column[days.start - small_config.window + 1 : days.stop]
        naive = np.nan_to_num(np.clip((raw - median) / scale, -8, 8), nan=0.0)
        np.testing.assert_allclose(rows[..., feature], naive, atol=2e-4)


def test_a_short_block_after_a_long_one_shows_no_stale_row(blocks: FoldBlocks) -> None:
    train = blocks.fold.train
    short, long = range(train[60], train[61]), range(train[90], train[94])
    expected = kept(blocks.block(short))
    blocks.block(long)
    assert_same(expected, kept(blocks.block(short)))


def test_blocks_reuse_one_buffer_and_the_data_stay_mapped(blocks: FoldBlocks) -> None:
    assert len({block.x_TNF.data_ptr() for block in blocks.in_order(blocks.fold.score)}) == 1
    assert isinstance(blocks.store.features, np.memmap)
    held = sum(value.nbytes for value in vars(blocks).values() if type(value) is np.ndarray)
    assert held < blocks.store.features.nbytes / 10


def test_folds_have_scalers_of_their_own_fitted_once(
    small_store: MarketStore, splits: Splits, small_config: DataConfig, tmp_path: Path
) -> None:
    store = replace(small_store, folder=tmp_path)
    medians = [FoldBlocks(store, fold, small_config, 4).scaler.median for fold in splits.folds]
    assert not np.array_equal(medians[0], medians[1])
    assert not np.array_equal(medians[1], medians[2])
    files = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("scaler-*.json")}
    again = [FoldBlocks(store, fold, small_config, 4).scaler.median for fold in splits.folds]
    assert len(files) == 3
    assert files == {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("scaler-*.json")}
    np.testing.assert_array_equal(medians, again)


def test_another_clip_has_a_scaler_of_its_own(
    small_store: MarketStore, splits: Splits, small_config: DataConfig, blocks: FoldBlocks
) -> None:
    narrow = FoldBlocks(small_store, splits.search, small_config.model_copy(update={"clip": 2.0}), BLOCK_DAYS)
    assert max(block.x_TNF.abs().max().item() for block in narrow.in_order(narrow.fold.score)) == 2.0
    assert max(block.x_TNF.abs().max().item() for block in blocks.in_order(blocks.fold.score)) > 2.0


def test_a_block_has_the_edges_of_the_graph_that_was_asked_for(
    small_store: MarketStore, splits: Splits, small_config: DataConfig, blocks: FoldBlocks
) -> None:
    graph = CorrelationGraphConfig(window=20, lead_lag_window=60, k=3, shuffled=True)
    other = FoldBlocks(small_store, splits.search, small_config.model_copy(update={"graph": graph}), BLOCK_DAYS)
    for mine, theirs in zip(blocks.in_order(blocks.fold.score), other.in_order(other.fold.score), strict=True):
        assert mine.edge_index_2E.shape[1] > 0
        assert not torch.equal(mine.edge_index_2E, theirs.edge_index_2E)


def test_features_that_are_left_out_say_nothing_and_the_others_are_as_before(
    small_store: MarketStore, small_config: DataConfig
) -> None:
    fold = small_store.splits(small_config).search
    whole = FoldBlocks(small_store, fold, small_config, 4)
    part = FoldBlocks(small_store, fold, small_config.model_copy(update={"leave_out": ("return_*", "gap")}), 4)
    out = left_out(small_store.meta.features, ("return_*", "gap"))
    days = range(fold.train.start, fold.train.start + 4)
    expected = whole.block(days).x_TNF.clone()
    expected[..., out] = 0.0
    assert len(out) == 10
    assert torch.equal(part.block(days).x_TNF, expected)


@pytest.mark.parametrize(
    ("patterns", "words"), [(("no_such",), "'no_such' matches none"), (("*",), "leaves out every")]
)
def test_what_leaves_out_nothing_or_all_is_refused(
    small_store: MarketStore, patterns: tuple[str, ...], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        left_out(small_store.meta.features, patterns)
