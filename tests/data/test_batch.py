"""Day blocks: windows that are views, edges within a day, the universe's targets, nothing unknown that counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from data.batch import DayBlock, make_block, window_rows
from data.config import DataConfig, LabelConfig
from data.graph import DailyGraphs, edge_scale
from data.store import MarketStore
from data.targets import day_targets

DAYS = range(103, 107)
NUM_STOCKS = 24
LATE, OUTSIDE, UNLABELLED = 3, 6, 5  # stocks of `gappy_store`
FLOATS = {"x_TNF", "edge_attr_E4", "return_BNK", "target_BNK"}


@pytest.fixture(scope="module")
def graphs(small_store: MarketStore, small_config: DataConfig) -> DailyGraphs:
    """Those of the small store; a new one comes into force on day 105."""
    found = small_store.graphs(small_config.graph)
    assert found is not None
    assert found.graph_of[104] != found.graph_of[105]
    return found


@pytest.fixture(scope="module")
def gappy_store(small_store: MarketStore) -> MarketStore:
    """Everybody is there, but: one has no row on the second day, one is outside the universe, one lacks a label."""
    names = ("present", "eligible", "labels", "returns")
    present, eligible, labels, returns = (np.array(getattr(small_store, name)) for name in names)
    present[DAYS], eligible[DAYS] = True, True
    labels[DAYS] = np.random.default_rng(0).normal(0, 0.02, labels[DAYS].shape)
    present[DAYS[1], LATE] = eligible[DAYS[1], LATE] = False
    eligible[DAYS, OUTSIDE] = False
    labels[DAYS[2], UNLABELLED, 1] = np.nan
    return replace(small_store, present=present, eligible=eligible, labels=labels, returns=returns)


def block_of(store: MarketStore, config: DataConfig, graphs: DailyGraphs | None, days: range = DAYS) -> DayBlock:
    """The block of the days around their raw features, missing ones at 0."""
    raw = np.nan_to_num(np.array(store.features[window_rows(config, days)]))
    targets = day_targets(store.labels, store.eligible, store.sector, store.volatility, config.labels)
    return make_block(store, graphs, targets, config, days, torch.from_numpy(raw))


@pytest.fixture(scope="module")
def block(gappy_store: MarketStore, small_config: DataConfig, graphs: DailyGraphs) -> DayBlock:
    """Four days of the gappy store."""
    return block_of(gappy_store, small_config, graphs)


# --- windows


@pytest.mark.parametrize("num_days", [1, 4])
@pytest.mark.parametrize("length", [2, 10])
def test_windows_are_a_view_that_equals_naive_ones(
    small_store: MarketStore, small_config: DataConfig, num_days: int, length: int
) -> None:
    config = small_config.model_copy(update={"window": length})
    days = range(DAYS.start, DAYS.start + num_days)
    block = block_of(small_store, config, None, days)
    windows = block.windows_BLNF
    features = np.nan_to_num(np.array(small_store.features))
    assert windows.shape == (num_days, length, *features.shape[1:])
    for b, day in enumerate(days):
        np.testing.assert_array_equal(windows[b], features[day - length + 1 : day + 1])
    assert windows.untyped_storage().data_ptr() == block.x_TNF.untyped_storage().data_ptr()
    block.x_TNF[-1] = 7.0
    assert (windows[-1, -1] == 7.0).all()


def test_windows_are_those_of_numpy(block: DayBlock) -> None:
    naive = np.moveaxis(sliding_window_view(block.x_TNF.numpy(), 10, axis=0), -1, 1)
    np.testing.assert_array_equal(block.windows_BLNF, naive)


def test_the_rows_of_a_block_end_with_its_last_day(small_config: DataConfig) -> None:
    assert window_rows(small_config, DAYS) == slice(DAYS.start - 9, DAYS.stop)


# --- masks


def test_observed_says_who_has_a_row_in_the_universe_or_not(block: DayBlock, gappy_store: MarketStore) -> None:
    expected = gappy_store.present[DAYS.start - 9 : DAYS.stop]
    np.testing.assert_array_equal(block.observed_TN, expected)
    assert block.observed_TN[-4:, OUTSIDE].all()
    assert block.observed_TN[-4:, LATE].tolist() == [True, False, True, True]


def test_a_label_counts_where_the_stock_is_eligible_and_it_is_known(block: DayBlock, gappy_store: MarketStore) -> None:
    now = slice(DAYS.start, DAYS.stop)
    expected = np.isfinite(gappy_store.labels[now]) & gappy_store.eligible[now, :, None]
    np.testing.assert_array_equal(block.label_mask_BNK, expected)
    assert not block.label_mask_BNK[:, OUTSIDE].any()
    assert not block.label_mask_BNK[1, LATE].any()
    assert block.label_mask_BNK[2, UNLABELLED].tolist() == [True, False]


def test_what_does_not_count_is_zero(block: DayBlock) -> None:
    unknown = ~block.label_mask_BNK
    assert unknown.any()
    assert (block.target_BNK[unknown] == 0).all()
    assert (block.return_BNK[unknown] == 0).all()


def test_a_day_with_too_few_labelled_stocks_counts_in_no_horizon_that_lacks_them(
    gappy_store: MarketStore, small_config: DataConfig
) -> None:
    labels = gappy_store.labels.copy()
    labels[DAYS[0], 9:, 0] = np.nan  # 8 eligible stocks are left, 10 are needed
    labels[DAYS[1], 12:, 0] = np.nan  # 10 are left
    mask = block_of(replace(gappy_store, labels=labels), small_config, None).label_mask_BNK
    assert mask.sum(dim=1).tolist()[:2] == [[0, 23], [10, 22]]


# --- targets


@pytest.mark.parametrize("shape", ["raw", "zscore", "rank_gaussian"])
@pytest.mark.parametrize("centre", ["none", "day", "sector"])
def test_targets_are_those_of_each_day_alone_and_returns_are_untouched(
    gappy_store: MarketStore, small_config: DataConfig, shape: str, centre: str
) -> None:
    labels = LabelConfig.model_validate({"shape": shape, "centre": centre, "winsorise": 0.05})
    block = block_of(gappy_store, small_config.model_copy(update={"labels": labels}), None)
    mask = block.label_mask_BNK.numpy()
    assert mask.sum() == 4 * 23 * 2 - 2 - 1
    np.testing.assert_array_equal(block.return_BNK.numpy()[mask], gappy_store.labels[DAYS.start : DAYS.stop][mask])
    for b, day in enumerate(DAYS):
        now = slice(day, day + 1)
        arrays = (getattr(gappy_store, name)[now] for name in ("labels", "eligible", "sector", "volatility"))
        expected = np.nan_to_num(day_targets(*arrays, labels)[0])
        np.testing.assert_array_equal(block.target_BNK[b], expected)


def test_zscored_targets_have_mean_zero_and_unit_deviation_over_the_universe(block: DayBlock) -> None:
    for b in range(4):
        for k in range(2):
            target = block.target_BNK[b, block.label_mask_BNK[b, :, k], k]
            assert target.mean().item() == pytest.approx(0, abs=1e-6)
            assert target.std().item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("stock", [LATE, OUTSIDE])
def test_a_stock_that_does_not_count_moves_nobodys_target(
    gappy_store: MarketStore, small_config: DataConfig, block: DayBlock, stock: int
) -> None:
    labels = gappy_store.labels.copy()
    labels[DAYS[1], stock] = 50.0
    other = block_of(replace(gappy_store, labels=labels), small_config, None)
    torch.testing.assert_close(other.target_BNK, block.target_BNK, rtol=0, atol=0)


def test_the_last_days_of_the_store_have_no_label_that_counts(
    small_store: MarketStore, small_config: DataConfig
) -> None:
    last = small_store.num_days
    block = block_of(small_store, small_config, None, range(last - 6, last))
    assert not block.label_mask_BNK[:, :, 1].any()
    assert block.label_mask_BNK[:4, :, 0].any(dim=1).all()
    assert not block.label_mask_BNK[4:].any()


# --- edges


def test_edges_are_each_days_own_with_its_nodes_after_those_of_the_days_before(
    block: DayBlock, gappy_store: MarketStore, graphs: DailyGraphs, small_config: DataConfig
) -> None:
    expected, scale = {}, edge_scale(small_config.graph)
    for offset, day in enumerate(DAYS):
        there = gappy_store.eligible[day]
        for (source, target), attr in zip(graphs.at(day)[0].T.tolist(), graphs.at(day)[1], strict=True):
            if there[source] and there[target]:
                expected[offset * NUM_STOCKS + source, offset * NUM_STOCKS + target] = (attr * scale).tolist()
    pairs = list(map(tuple, block.edge_index_2E.T.tolist()))
    assert len(pairs) == len(expected) > 0
    assert dict(zip(pairs, block.edge_attr_E4.tolist(), strict=True)) == expected


def test_no_edge_joins_days_or_reaches_a_stock_outside_the_universe(block: DayBlock, graphs: DailyGraphs) -> None:
    day, stock = block.edge_index_2E // NUM_STOCKS, block.edge_index_2E % NUM_STOCKS
    assert (day[0] == day[1]).all()
    assert day.unique().tolist() == [0, 1, 2, 3]
    assert OUTSIDE in graphs.at(DAYS[0])[0], "its graph knows the stock"
    assert OUTSIDE not in stock
    assert LATE not in stock[day == 1]
    assert LATE in stock[day == 0]


def test_universe_and_sectors_are_those_of_the_blocks_own_days(block: DayBlock, gappy_store: MarketStore) -> None:
    now = slice(DAYS.start, DAYS.stop)
    np.testing.assert_array_equal(block.eligible_BN, gappy_store.eligible[now])
    np.testing.assert_array_equal(block.sector_BN, gappy_store.sector[now])
    assert not block.eligible_BN.all()
    assert 0 <= block.sector_BN.min() < block.sector_BN.max() < gappy_store.num_sectors


def test_without_a_graph_a_block_has_no_edges(gappy_store: MarketStore, small_config: DataConfig) -> None:
    block = block_of(gappy_store, small_config, None)
    assert (block.edge_index_2E.shape, block.edge_attr_E4.shape) == ((2, 0), (0, 4))


# --- the whole


def test_a_day_is_the_same_in_whatever_block_it_is(
    block: DayBlock, gappy_store: MarketStore, small_config: DataConfig, graphs: DailyGraphs
) -> None:
    for b, day in enumerate(DAYS):
        alone = block_of(gappy_store, small_config, graphs, range(day, day + 1))
        for name in ("windows_BLNF", "return_BNK", "target_BNK", "label_mask_BNK"):
            torch.testing.assert_close(getattr(alone, name)[0], getattr(block, name)[b], rtol=0, atol=0)
        torch.testing.assert_close(alone.observed_TN, block.observed_TN[b : b + 10], rtol=0, atol=0)
        here = block.edge_index_2E[0] // NUM_STOCKS == b
        torch.testing.assert_close(alone.edge_index_2E, block.edge_index_2E[:, here] - b * NUM_STOCKS)


def test_no_row_after_the_blocks_last_day_changes_what_is_read(
    gappy_store: MarketStore, small_config: DataConfig, block: DayBlock, graphs: DailyGraphs
) -> None:
    later = {name: np.array(getattr(gappy_store, name)) for name in ("features", "present", "eligible", "labels")}
    for values in later.values():
        values[DAYS.stop :] = 1
    other = block_of(replace(gappy_store, **later), small_config, graphs)
    for name, value in vars(block).items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(getattr(other, name), value, rtol=0, atol=0)


def test_types_are_those_that_the_model_takes_and_every_value_is_finite(block: DayBlock) -> None:
    tensors = {name: value for name, value in vars(block).items() if isinstance(value, torch.Tensor)}
    assert {name for name, value in tensors.items() if value.dtype == torch.float32} == FLOATS
    flags = {"observed_TN", "eligible_BN", "label_mask_BNK"}
    assert {name for name, value in tensors.items() if value.dtype == torch.bool} == flags
    assert {tensors[name].dtype for name in tensors.keys() - flags - FLOATS} == {torch.int64}
    assert all(torch.isfinite(tensors[name]).all() for name in FLOATS)


def test_a_block_moves_whole(block: DayBlock) -> None:
    moved = block.to(torch.device("meta"))
    tensors = [value for value in vars(moved).values() if isinstance(value, torch.Tensor)]
    assert len(tensors) == 9
    assert all(tensor.is_meta for tensor in tensors)
    assert moved.days == block.days
