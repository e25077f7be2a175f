"""Neighbour graphs per date: in force until the next one, blind to the future, cached whole, extended like new."""

from __future__ import annotations

import multiprocessing
import resource
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.config import CorrelationGraphConfig, DataConfig, GraphConfig, NoGraphConfig, SectorGraphConfig
from data.edges import correlation_edges, shuffled
from data.errors import DataError
from data.graph import (
    EDGE_ATTRIBUTES,
    DailyGraphs,
    build_graphs,
    carry_graphs,
    edge_scale,
    graph_key,
    open_graphs,
)
from data.store import MarketStore
from data.synthetic import SyntheticConfig, simulate

CONFIG = CorrelationGraphConfig(window=20, lead_lag_window=40, k=3, refresh_days=5)
KINDS: dict[str, GraphConfig] = {
    "correlation": CONFIG,
    "shuffled": CONFIG.model_copy(update={"shuffled": True}),
    "rank": CONFIG.model_copy(update={"method": "rank", "min_correlation": 0.2, "min_degree": 1}),
    "sector": SectorGraphConfig(k=4, refresh_days=7),
    "sector shuffled": SectorGraphConfig(k=4, refresh_days=7, shuffled=True),
}
NUM_DAYS, NUM_STOCKS = 120, 20
Inputs = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    """(returns, eligible, sector, industry): listings, gaps, ineligible days and a stock that changes its sector."""
    rng = np.random.default_rng(0)
    returns = (rng.normal(0, 0.01, (NUM_DAYS, 1)) + rng.normal(0, 0.01, (NUM_DAYS, NUM_STOCKS))).astype(np.float32)
    returns[0] = np.nan
    returns[:50, 4] = np.nan
    returns[90:, 7] = np.nan
    returns[rng.random(returns.shape) < 0.01] = np.nan
    eligible = np.isfinite(returns)
    eligible[60:80, 9] = False
    sector = np.tile(1 + np.arange(NUM_STOCKS) % 3, (NUM_DAYS, 1)).astype(np.int16)
    sector[70:, 2] = 1
    industry = np.tile(np.arange(NUM_STOCKS) % 5, (NUM_DAYS, 1)).astype(np.int16)
    return returns, eligible, sector, industry


def until(inputs: Inputs, num_days: int) -> Inputs:
    returns, eligible, sector, industry = (values[:num_days] for values in inputs)
    return returns, eligible, sector, industry


def assert_same(a: DailyGraphs, b: DailyGraphs) -> None:
    for name, values in vars(a).items():
        np.testing.assert_array_equal(getattr(b, name), values, err_msg=name)
        assert getattr(b, name).dtype == values.dtype


def assert_same_edges(a: DailyGraphs, b: DailyGraphs, days: range) -> None:
    for day in days:
        for mine, theirs in zip(a.at(day), b.at(day), strict=True):
            np.testing.assert_array_equal(mine, theirs, err_msg=f"day {day}")


# --- the key


CHANGES: dict[type, dict[str, Any]] = {
    CorrelationGraphConfig: {
        "method": "rank",
        "window": 61,
        "half_life": 21,
        "lead_lag_window": 251,
        "lead_lag_decay": 0.0,
        "lead_lag_k": 0,
        "shrinkage": 0.1,
        "k": 15,
        "min_correlation": 0.1,
        "min_degree": 1,
        "refresh_days": 6,
        "shuffled": True,
    },
    SectorGraphConfig: {"k": 21, "refresh_days": 21, "shuffled": True},
}


@pytest.mark.parametrize("kind", CHANGES)
def test_every_setting_changes_the_key(kind: type) -> None:
    changes = CHANGES[kind]
    assert set(changes) == set(kind.model_fields) - {"kind"}, "a new setting needs a line above"
    keys = [graph_key(kind()), *(graph_key(kind(**{name: value})) for name, value in changes.items())]
    assert len(set(keys)) == len(keys)


def test_kinds_never_share_a_key() -> None:
    assert len({graph_key(config) for config in (NoGraphConfig(), SectorGraphConfig(), CorrelationGraphConfig())}) == 3


def test_equal_settings_share_a_key() -> None:
    assert graph_key(CorrelationGraphConfig(k=6)) == graph_key(CorrelationGraphConfig())


# --- which day has which graph


def test_a_day_uses_the_last_graph_at_or_before_it(inputs: Inputs) -> None:
    returns, eligible, sector, industry = inputs
    graphs = build_graphs(*inputs, CONFIG)
    for day in range(CONFIG.window, NUM_DAYS):
        built = day - (day - CONFIG.window) % CONFIG.refresh_days
        expected = correlation_edges(returns[: built + 1], eligible[built], sector[built], industry[built], CONFIG)
        np.testing.assert_array_equal(graphs.at(day)[0], expected.index)
        np.testing.assert_array_equal(graphs.at(day)[1], expected.attr)


def test_before_the_first_full_window_there_are_no_edges(inputs: Inputs) -> None:
    graphs = build_graphs(*inputs, CONFIG)
    assert (graphs.num_days, graphs.first_day) == (NUM_DAYS, CONFIG.window)
    for day in range(graphs.first_day):
        index, attr = graphs.at(day)
        assert (index.shape, attr.shape) == ((2, 0), (0, len(EDGE_ATTRIBUTES)))


def test_a_graph_is_rebuilt_every_refresh_days(inputs: Inputs) -> None:
    daily, weekly = (build_graphs(*inputs, CONFIG.model_copy(update={"refresh_days": n})) for n in (1, 5))
    assert len(daily.indptr) - 1 == NUM_DAYS - CONFIG.window
    assert len(weekly.indptr) - 1 == (NUM_DAYS - CONFIG.window) / 5
    rebuilt = range(CONFIG.window, NUM_DAYS, 5)
    for day in rebuilt:
        assert_same_edges(daily, weekly, range(day, day + 1))


def test_the_shuffled_graph_is_the_placebo_of_each_days_own(inputs: Inputs) -> None:
    returns, eligible, sector, industry = inputs
    graphs = build_graphs(*inputs, KINDS["shuffled"])
    placebos = []
    for day in (20, 50, 100):
        edges = correlation_edges(returns[: day + 1], eligible[day], sector[day], industry[day], CONFIG)
        expected = shuffled(edges, seed=day)
        np.testing.assert_array_equal(graphs.at(day)[0], expected.index)
        placebos.append(set(map(tuple, expected.index.T.tolist())) != set(map(tuple, edges.index.T.tolist())))
    assert all(placebos)


def test_a_sector_graph_follows_a_stock_into_its_new_sector(inputs: Inputs) -> None:
    config = SectorGraphConfig(k=20, refresh_days=1)
    graphs, sector = build_graphs(*inputs, config), inputs[2]
    for day in (65, 75):
        source, target = graphs.at(day)[0]
        assert set(sector[day, source[target == 2]]) == {sector[day, 2]}
        assert sector[day, 2] == (3 if day < 70 else 1)


@pytest.mark.parametrize("kind", KINDS)
def test_no_edge_reaches_a_stock_that_is_not_eligible(inputs: Inputs, kind: str) -> None:
    config = KINDS[kind].model_copy(update={"refresh_days": 1})
    graphs = build_graphs(*inputs, config)
    for day in range(graphs.first_day, NUM_DAYS):
        assert inputs[1][day][graphs.at(day)[0]].all()
    assert 9 in graphs.at(85)[0]


def test_too_short_a_history_is_refused_with_its_length(inputs: Inputs) -> None:
    with pytest.raises(DataError, match=r"correlation graph needs .* no day of the 20 has them"):
        build_graphs(*until(inputs, CONFIG.window), CONFIG)


def test_a_market_without_sectors_has_no_sector_graph(inputs: Inputs) -> None:
    returns, eligible, sector, industry = inputs
    with pytest.raises(DataError, match="sector graph needs"):
        build_graphs(returns, eligible, np.zeros_like(sector), industry, SectorGraphConfig())


# --- causality


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(last=st.integers(21, NUM_DAYS - 2), seed=st.integers(0, 99))
def test_no_value_after_a_day_changes_an_edge_of_it(inputs: Inputs, kind: str, last: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    changed = tuple(values.copy() for values in inputs)
    returns, eligible, sector, industry = changed
    later = returns[last + 1 :].shape
    returns[last + 1 :] = np.where(rng.random(later) < 0.1, np.nan, rng.normal(0, 5, later))
    eligible[last + 1 :] = rng.random(later) < 0.5
    sector[last + 1 :], industry[last + 1 :] = rng.integers(0, 4, later), rng.integers(0, 4, later)
    before = build_graphs(*inputs, KINDS[kind])
    assert_same_edges(before, build_graphs(*changed, KINDS[kind]), range(last + 1))
    assert_same_edges(before, build_graphs(*until(inputs, last + 1), KINDS[kind]), range(last + 1))


# --- the usual degree


@pytest.mark.parametrize("num_stocks", [80, 200, 400])
def test_the_mean_degree_is_near_twenty_by_default(num_stocks: int) -> None:
    market = SyntheticConfig(num_stocks=num_stocks, num_days=160)
    parts = list(simulate(market))
    returns = np.concatenate([np.where(p.present, p.returns, np.nan) for p in parts]).astype(np.float32)
    labels = np.zeros(returns.shape, np.int16)
    graphs = build_graphs(returns, np.isfinite(returns), labels, labels, DataConfig().graph)
    assert 16 < graphs.mean_degree < 24


def test_mean_degree_counts_incoming_edges_of_connected_stocks(inputs: Inputs) -> None:
    graphs = build_graphs(*inputs, CONFIG)
    each = [graphs.at(day)[0][1] for day in range(CONFIG.window, NUM_DAYS, CONFIG.refresh_days)]
    assert graphs.mean_degree == pytest.approx(np.mean([len(x) / len(set(x.tolist())) for x in each]))


# --- the cache


def folders(store: Path) -> list[str]:
    """What lies beside the store, locks aside."""
    return sorted(p.name for p in (store / "graphs").iterdir() if not p.name.endswith(".lock"))


@pytest.mark.parametrize("kind", KINDS)
def test_cached_graphs_are_the_built_ones_mapped_from_disk(inputs: Inputs, kind: str, tmp_path: Path) -> None:
    opened = open_graphs(tmp_path, KINDS[kind], *inputs)
    assert opened is not None
    assert_same(build_graphs(*inputs, KINDS[kind]), opened)
    assert all(isinstance(values, np.memmap) for values in vars(opened).values())
    assert folders(tmp_path) == [graph_key(KINDS[kind])]


def test_no_graph_is_none_and_leaves_nothing_on_disk(inputs: Inputs, tmp_path: Path) -> None:
    assert open_graphs(tmp_path, NoGraphConfig(), *inputs) is None
    assert not list(tmp_path.iterdir())


def test_a_cached_graph_is_not_built_again(inputs: Inputs, tmp_path: Path) -> None:
    open_graphs(tmp_path, CONFIG, *inputs)
    nothing = np.full_like(inputs[0], np.nan)
    opened = open_graphs(tmp_path, CONFIG, nothing, *inputs[1:])
    assert opened is not None
    assert_same(build_graphs(*inputs, CONFIG), opened)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("known", [10, 20, 21, 57, 100, NUM_DAYS - 1])
def test_an_extended_cache_equals_a_fresh_one(inputs: Inputs, kind: str, known: int, tmp_path: Path) -> None:
    config = KINDS[kind]
    fresh = build_graphs(*inputs, config)
    folder = tmp_path / "graphs" / graph_key(config)
    folder.mkdir(parents=True)
    fresh.until(known, np.arange(NUM_STOCKS)).save(folder)
    opened = open_graphs(tmp_path, config, *inputs)
    assert opened is not None
    assert_same(fresh, opened)
    assert folders(tmp_path) == [graph_key(config)]


def test_extending_a_cache_keeps_what_it_has(inputs: Inputs, tmp_path: Path) -> None:
    open_graphs(tmp_path, CONFIG, *until(inputs, 60))
    returns = inputs[0].copy()
    returns[:20] = np.nan  # what a rebuild would read, and an extension of day 60 does not
    extended = open_graphs(tmp_path, CONFIG, returns, *inputs[1:])
    assert extended is not None
    assert_same(build_graphs(*inputs, CONFIG), extended)


def _open_in_process(store: Path, inputs: Inputs, start: Any, found: Any) -> None:
    start.wait()
    graphs = open_graphs(store, CONFIG, *inputs)
    assert graphs is not None
    file = store / "graphs" / graph_key(CONFIG) / "edge_attr.npy"
    found.put((file.stat().st_ino, file.stat().st_mtime_ns, float(graphs.edge_attr.sum())))


@pytest.mark.timeout(120)
def test_processes_that_open_together_share_one_build(inputs: Inputs, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, found = context.Barrier(3), context.Queue()
    workers = [context.Process(target=_open_in_process, args=(tmp_path, inputs, start, found)) for _ in range(3)]
    for worker in workers:
        worker.start()
    seen = {found.get(timeout=100) for _ in workers}
    for worker in workers:
        worker.join()
    assert len(seen) == 1
    assert seen.pop()[2] == float(build_graphs(*inputs, CONFIG).edge_attr.sum())


def _build_and_die(store: Path, inputs: Inputs, config: GraphConfig) -> None:
    """The kernel kills the process in the middle of writing the edges."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    open_graphs(store, config, *inputs)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("begun", [False, True])
def test_a_killed_builder_leaves_no_half_cache(inputs: Inputs, begun: bool, tmp_path: Path) -> None:
    if begun:
        open_graphs(tmp_path, CONFIG, *until(inputs, 60))
    killed = multiprocessing.get_context("spawn").Process(target=_build_and_die, args=(tmp_path, inputs, CONFIG))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGXFSZ
    folder = tmp_path / "graphs" / graph_key(CONFIG)
    assert folder.exists() == begun
    if begun:
        assert_same(build_graphs(*until(inputs, 60), CONFIG), DailyGraphs.load(folder))
    opened = open_graphs(tmp_path, CONFIG, *inputs)
    assert opened is not None
    assert_same(build_graphs(*inputs, CONFIG), opened)


# --- carried to the next store


def with_new_stocks(inputs: Inputs, before: list[int], after: int) -> Inputs:
    """The market in a panel with more stocks, which list on day 80: old stock n is now stock before[n]."""
    returns, eligible, sector, industry = (np.zeros((NUM_DAYS, after), values.dtype) for values in inputs)
    rng = np.random.default_rng(1)
    returns[:] = rng.normal(0, 0.01, returns.shape)
    returns[:80], sector[:], eligible[80:] = np.nan, 1, True
    for new, old in zip((returns, eligible, sector, industry), inputs, strict=True):
        new[:, before] = old
    return returns, eligible, sector, industry


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("known", [15, 80])
def test_carried_graphs_extend_to_those_of_the_new_store(inputs: Inputs, kind: str, known: int, tmp_path: Path) -> None:
    config, place = KINDS[kind], [n + 1 + n // 8 for n in range(NUM_STOCKS)]
    wider = with_new_stocks(inputs, place, place[-1] + 3)
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    after.mkdir()
    open_graphs(before, config, *inputs)
    carry_graphs(before, after, known, np.array(place))
    carried = DailyGraphs.load(after / "graphs" / graph_key(config))
    assert carried.num_days == known
    fresh = build_graphs(*wider, config)
    assert_same_edges(carried, fresh, range(known))
    opened = open_graphs(after, config, *wider)
    assert opened is not None
    assert_same(fresh, opened)


def test_all_graphs_of_the_store_are_carried_and_its_own_stay(inputs: Inputs, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    after.mkdir()
    for config in KINDS.values():
        open_graphs(before, config, *inputs)
    carry_graphs(before, after, 70, np.arange(NUM_STOCKS))
    assert folders(after) == folders(before) == sorted(graph_key(config) for config in KINDS.values())
    assert_same(build_graphs(*inputs, CONFIG), DailyGraphs.load(before / "graphs" / graph_key(CONFIG)))


def test_nothing_is_carried_where_no_day_is_the_same(inputs: Inputs, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    after.mkdir()
    open_graphs(before, CONFIG, *inputs)
    carry_graphs(before, after, 0, np.arange(NUM_STOCKS))
    assert not (after / "graphs").exists()


# --- a prepared store


def test_a_node_is_the_stock_of_its_code(small_store: MarketStore, small_config: DataConfig) -> None:
    assert isinstance(small_config.graph, CorrelationGraphConfig)
    graphs = small_store.graphs(small_config.graph)
    assert graphs is not None
    day = graphs.first_day
    history = {code: np.asarray(small_store.returns[day - 19 : day + 1, n]) for n, code in enumerate(small_store.codes)}
    assert list(small_store.codes) == sorted(history)
    complete = 0
    for (i, j), attr in zip(graphs.at(day)[0].T, graphs.at(day)[1], strict=True):
        a, b = history[small_store.codes[i]], history[small_store.codes[j]]
        if np.isfinite(a).all() and np.isfinite(b).all():
            complete += 1
            assert attr[0] == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-4)
            assert attr[2] == (small_store.sector[day, i] == small_store.sector[day, j])
    assert complete > 20


@pytest.mark.parametrize("graph", [NoGraphConfig(), SectorGraphConfig(k=4), KINDS["shuffled"]])
def test_a_store_opens_each_kind_beside_the_others(
    small_store: MarketStore, graph: GraphConfig, tmp_path: Path
) -> None:
    shutil.copytree(small_store.folder, tmp_path / "store", ignore=shutil.ignore_patterns("graphs"))
    store = MarketStore.open(tmp_path / "store")
    store.graphs(CONFIG)
    graphs = store.graphs(graph)
    assert (graphs is None) == isinstance(graph, NoGraphConfig)
    assert (graph_key(graph) in folders(store.folder)) == (graphs is not None)
    assert graph_key(CONFIG) in folders(store.folder)


def test_attributes_are_read_in_standard_errors() -> None:
    plain = edge_scale(CorrelationGraphConfig(window=100, lead_lag_window=225))
    assert plain.tolist() == [10.0, 15.0, 4.0, 4.0]
    weighted = edge_scale(CorrelationGraphConfig(method="exponential", window=250, half_life=10))
    assert weighted[0] ** 2 == pytest.approx((1 + 0.5**0.1) / (1 - 0.5**0.1), rel=1e-3), "of endless weights"
    assert edge_scale(SectorGraphConfig()).tolist() == edge_scale(CorrelationGraphConfig()).tolist()
