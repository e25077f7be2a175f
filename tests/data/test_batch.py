"""Day blocks: scaled rows of the store, edges within a day, and nothing unknown that counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data.batch import DayBlock, make_block
from data.config import DataConfig, NoGraphConfig
from data.labels import daily_zscore
from data.loader import FoldBlocks
from data.prepare import prepare
from data.scaler import RobustScaler
from data.splits import Splits
from data.store import MarketStore

DAYS = range(103, 107)  # a new graph comes into force on day 105
WINDOW = 10
ROWS = slice(DAYS.start - WINDOW + 1, DAYS.stop)
NUM_STOCKS = 24


def block_of(blocks: FoldBlocks, store: MarketStore, days: range = DAYS) -> DayBlock:
    """A block of another store, made with the fold's scaler and a buffer of its own."""
    buffer = np.empty((len(days) + WINDOW - 1, *store.features.shape[1:]), np.float32)
    return make_block(store, blocks.scaler, blocks.config, days, buffer)


@pytest.fixture
def block(search_blocks: FoldBlocks, small_store: MarketStore) -> DayBlock:
    """Four training days."""
    return block_of(search_blocks, small_store)


@pytest.fixture
def gappy_store(small_store: MarketStore) -> MarketStore:
    """Stock 3 has no close on the block's second day; stock 5's label of horizon 5 is unknown on its third."""
    observed, labels = np.array(small_store.observed), np.array(small_store.labels)
    observed[DAYS, 3], labels[DAYS, 3] = True, 0.01
    observed[DAYS[1], 3] = False
    observed[DAYS, 5], labels[DAYS, 5] = True, 0.02
    labels[DAYS[2], 5, 1] = np.nan
    return replace(small_store, observed=observed, labels=labels)


# --- what the network reads


def test_the_rows_are_the_scaled_days_with_the_window_before_them(
    block: DayBlock, small_store: MarketStore, search_blocks: FoldBlocks
) -> None:
    scaler = search_blocks.scaler
    raw = np.array(small_store.features[ROWS])
    expected = np.nan_to_num(np.clip((raw - scaler.median) / scaler.scale, -8, 8), nan=0.0)
    assert block.x_TNF.shape == (len(DAYS) + WINDOW - 1, NUM_STOCKS, raw.shape[2])
    np.testing.assert_allclose(block.x_TNF.numpy(), expected, rtol=1e-6)
    np.testing.assert_array_equal(block.observed_TN.numpy(), small_store.observed[ROWS])


def test_a_day_has_the_same_window_whatever_block_it_is_in(
    block: DayBlock, search_blocks: FoldBlocks, small_store: MarketStore
) -> None:
    for offset, day in enumerate(DAYS):
        alone = block_of(search_blocks, small_store, range(day, day + 1))
        torch.testing.assert_close(alone.x_TNF, block.x_TNF[offset : offset + WINDOW], rtol=0, atol=0)
        torch.testing.assert_close(alone.target_BNK[0], block.target_BNK[offset], rtol=0, atol=0)


def test_no_row_after_the_blocks_last_day_changes_what_is_read(
    block: DayBlock, search_blocks: FoldBlocks, small_store: MarketStore
) -> None:
    features, observed = np.array(small_store.features), np.array(small_store.observed)
    features[DAYS.stop :], observed[DAYS.stop :] = 9.0, False
    other = block_of(search_blocks, replace(small_store, features=features, observed=observed))
    for name in ("x_TNF", "observed_TN", "edge_index_2E", "edge_attr_E4"):
        torch.testing.assert_close(getattr(other, name), getattr(block, name), rtol=0, atol=0)


def test_making_a_block_leaves_the_store_unscaled(search_blocks: FoldBlocks, small_store: MarketStore) -> None:
    before = np.array(small_store.features[ROWS])
    block_of(search_blocks, small_store)
    np.testing.assert_array_equal(small_store.features[ROWS], before)


def test_a_missing_value_is_zero_in_the_rows_and_told_apart_by_the_mask(
    block: DayBlock, small_store: MarketStore
) -> None:
    missing = ~small_store.observed[ROWS]
    assert missing.any()
    assert (block.x_TNF.numpy()[missing] == 0).all()
    assert not block.observed_TN.numpy()[missing].any()


def test_dtypes_are_those_of_the_slots(block: DayBlock) -> None:
    dtypes = {name: value.dtype for name, value in vars(block).items() if isinstance(value, torch.Tensor)}
    floats = {"x_TNF", "edge_attr_E4", "return_BNK", "target_BNK"}
    assert {name for name, dtype in dtypes.items() if dtype == torch.float32} == floats
    assert {name for name, dtype in dtypes.items() if dtype == torch.bool} == {"observed_TN", "label_mask_BNK"}
    assert dtypes["edge_index_2E"] == torch.int64


# --- edges


def test_edges_stay_within_their_day_and_between_observed_stocks(
    search_blocks: FoldBlocks, gappy_store: MarketStore
) -> None:
    block = block_of(search_blocks, gappy_store)
    source, target = block.edge_index_2E.numpy()
    assert (source // NUM_STOCKS == target // NUM_STOCKS).all()
    observed = gappy_store.observed[DAYS.start : DAYS.stop].ravel()
    assert observed[source].all()
    assert observed[target].all()
    assert 1 * NUM_STOCKS + 3 not in source


def test_every_day_has_its_own_graphs_edges_and_attributes(search_blocks: FoldBlocks, gappy_store: MarketStore) -> None:
    block = block_of(search_blocks, gappy_store)
    assert gappy_store.graphs is not None
    expected = {}
    for offset, day in enumerate(DAYS):
        there = gappy_store.observed[day]
        for s, t, attr in zip(*gappy_store.graphs.at(day)[0], gappy_store.graphs.at(day)[1], strict=True):
            if there[s] and there[t]:
                expected[offset * NUM_STOCKS + int(s), offset * NUM_STOCKS + int(t)] = attr.tolist()
    pairs = [(int(s), int(t)) for s, t in block.edge_index_2E.T]
    assert len(pairs) == len(expected) > 0
    assert dict(zip(pairs, block.edge_attr_E4.tolist(), strict=True)) == expected


def test_without_a_graph_a_block_has_no_edges(
    small_panel: Path, small_config: DataConfig, search_blocks: FoldBlocks, tmp_path: Path
) -> None:
    store = prepare(small_panel, tmp_path, small_config.model_copy(update={"graph": NoGraphConfig()}))
    block = block_of(search_blocks, store)
    assert block.edge_index_2E.shape == (2, 0)
    assert block.edge_attr_E4.shape == (0, 4)


# --- what counts


def test_targets_are_the_days_zscores_and_returns_are_untouched(block: DayBlock, small_store: MarketStore) -> None:
    labels = np.array(small_store.labels[DAYS.start : DAYS.stop])
    mask = block.label_mask_BNK.numpy()
    assert mask.mean() > 0.9
    np.testing.assert_array_equal(block.return_BNK.numpy()[mask], labels[mask])
    known = np.where(small_store.observed[DAYS.start : DAYS.stop, :, None], labels, np.nan)
    np.testing.assert_array_equal(block.target_BNK.numpy()[mask], daily_zscore(known)[mask])


def test_the_mask_is_what_is_observed_with_a_known_label(block: DayBlock, small_store: MarketStore) -> None:
    known = np.isfinite(small_store.labels[DAYS.start : DAYS.stop])
    observed = small_store.observed[DAYS.start : DAYS.stop, :, None]
    np.testing.assert_array_equal(block.label_mask_BNK.numpy(), known & observed)


def test_a_stock_that_is_not_there_never_counts(search_blocks: FoldBlocks, gappy_store: MarketStore) -> None:
    block = block_of(search_blocks, gappy_store)
    assert block.label_mask_BNK[:, 3].all(dim=1).tolist() == [True, False, True, True]
    assert not block.label_mask_BNK[1, 3].any()
    assert not block.target_BNK[1, 3].any()
    assert not block.return_BNK[1, 3].any()


def test_an_unknown_label_of_one_horizon_leaves_the_other_alone(
    search_blocks: FoldBlocks, gappy_store: MarketStore
) -> None:
    block = block_of(search_blocks, gappy_store)
    assert block.label_mask_BNK[2, 5].tolist() == [True, False]
    assert block.target_BNK[2, 5, 1] == block.return_BNK[2, 5, 1] == 0


def test_a_stock_that_does_not_count_does_not_move_the_others_targets(
    search_blocks: FoldBlocks, gappy_store: MarketStore
) -> None:
    labels = np.array(gappy_store.labels)
    labels[DAYS[1], 3] = 50.0
    absurd = block_of(search_blocks, replace(gappy_store, labels=labels))
    torch.testing.assert_close(absurd.target_BNK, block_of(search_blocks, gappy_store).target_BNK, rtol=0, atol=0)


def test_every_tensor_is_finite(search_blocks: FoldBlocks, gappy_store: MarketStore) -> None:
    block = block_of(search_blocks, gappy_store)
    for name in ("x_TNF", "edge_attr_E4", "return_BNK", "target_BNK"):
        assert torch.isfinite(getattr(block, name)).all(), name


def test_days_at_the_end_of_the_store_have_no_label_that_counts(
    search_blocks: FoldBlocks, small_store: MarketStore
) -> None:
    block = block_of(search_blocks, small_store, range(236, 240))
    assert not block.label_mask_BNK[:, :, 1].any()
    assert block.label_mask_BNK[:2, :, 0].any()


# --- moving, and prediction


def test_a_block_moves_whole(block: DayBlock) -> None:
    moved = block.to(torch.device("meta"))
    tensors = [value for value in vars(moved).values() if isinstance(value, torch.Tensor)]
    assert len(tensors) == 7
    assert all(tensor.device.type == "meta" for tensor in tensors)
    assert moved.days == block.days


def test_a_scaler_from_a_checkpoint_makes_the_same_block(
    block: DayBlock, small_store: MarketStore, search_blocks: FoldBlocks, small_splits: Splits
) -> None:
    restored = RobustScaler.from_dict(search_blocks.scaler.to_dict())
    buffer = np.empty(block.x_TNF.shape, np.float32)
    again = make_block(small_store, restored, search_blocks.config, DAYS, buffer)
    torch.testing.assert_close(again.x_TNF, block.x_TNF, rtol=0, atol=0)
