"""Neighbour graphs: the right neighbours, the right attributes, in force until the next one, blind to the future."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.config import CorrelationGraphConfig
from data.errors import DataError
from data.graph import EDGE_ATTRIBUTES, DailyGraphs, build_graphs
from data.panel import Panel
from tests.data.helpers import properties, random_closes

CONFIG = CorrelationGraphConfig(window=30, lead_lag_window=50, k=3, refresh_days=5)
NUM_DAYS, NUM_STOCKS = 120, 15
SECTOR = np.array(["energy", "tech", "health"])[np.arange(NUM_STOCKS) % 3]
INDUSTRY = np.array(["", "oil", "chips", "drugs"])[np.arange(NUM_STOCKS) % 4]
REBUILT = range(CONFIG.window, NUM_DAYS, CONFIG.refresh_days)
FULL_HISTORY = [day for day in REBUILT if day > CONFIG.lead_lag_window]
CORRELATION, LEAD_LAG, SAME_SECTOR, SAME_INDUSTRY = range(4)


@pytest.fixture(scope="module")
def close() -> np.ndarray:
    """[D, N] without a gap."""
    return random_closes(NUM_DAYS, NUM_STOCKS)


@pytest.fixture(scope="module")
def graphs(close: np.ndarray) -> DailyGraphs:
    """The graphs of `close`."""
    return build_graphs(close, SECTOR, INDUSTRY, CONFIG)


def returns_of(close: np.ndarray) -> np.ndarray:
    """[D, N] log returns, the first day missing."""
    return np.vstack([np.full((1, close.shape[1]), np.nan), np.log(close[1:] / close[:-1])])


def edges_at(graphs: DailyGraphs, day: int) -> dict[tuple[int, int], np.ndarray]:
    """(source, target) -> attributes of a day's graph."""
    index, attr = graphs.at(day)
    return {(int(s), int(t)): a for s, t, a in zip(*index, attr, strict=True)}


def naive_edges(correlation: np.ndarray, k: int, least: float) -> set[tuple[int, int]]:
    """Everybody's k best others that are good enough, both ways."""
    edges = set()
    for i, row in enumerate(correlation):
        best = sorted((j for j in range(len(row)) if j != i), key=lambda j: -row[j])[:k]
        edges |= {(i, j) for j in best if row[j] >= least} | {(j, i) for j in best if row[j] >= least}
    return edges


# --- which edges


@pytest.mark.parametrize("day", REBUILT)
def test_a_graph_is_symmetric_without_loops_or_doubles(graphs: DailyGraphs, day: int) -> None:
    pairs = list(zip(*(row.tolist() for row in graphs.at(day)[0]), strict=True))
    assert len(pairs) == len(set(pairs)) > 0
    assert set(pairs) == {(target, source) for source, target in pairs}
    assert all(source != target for source, target in pairs)


@pytest.mark.parametrize("least", [-1.0, 0.0, 0.55])
def test_edges_are_everybodys_strongest_correlations(close: np.ndarray, least: float) -> None:
    config = CONFIG.model_copy(update={"min_correlation": least})
    graphs, returns = build_graphs(close, SECTOR, INDUSTRY, config), returns_of(close)
    for day in REBUILT:
        correlation = np.corrcoef(returns[day - 29 : day + 1].T)
        assert set(edges_at(graphs, day)) == naive_edges(correlation, CONFIG.k, least)


def test_asking_for_more_neighbours_than_there_are_connects_all(close: np.ndarray) -> None:
    config = CONFIG.model_copy(update={"k": 99, "min_correlation": -1.0})
    graphs = build_graphs(close, SECTOR, INDUSTRY, config)
    assert len(edges_at(graphs, NUM_DAYS - 1)) == NUM_STOCKS * (NUM_STOCKS - 1)


def test_the_mean_degree_counts_incoming_edges_of_connected_stocks(graphs: DailyGraphs) -> None:
    degrees = [np.mean(np.unique(graphs.at(day)[0][1], return_counts=True)[1]) for day in REBUILT]
    assert graphs.mean_degree == pytest.approx(np.mean(degrees))
    assert graphs.mean_degree >= CONFIG.k


# --- attributes


def test_the_attributes_are_the_four_that_are_named(graphs: DailyGraphs) -> None:
    assert EDGE_ATTRIBUTES == ("correlation", "lead_lag", "same_sector", "same_industry")
    assert graphs.edge_attr.shape == (graphs.edge_index.shape[1], 4)


@pytest.mark.parametrize("day", REBUILT)
def test_the_correlation_attribute_is_that_of_the_window(close: np.ndarray, graphs: DailyGraphs, day: int) -> None:
    correlation = np.corrcoef(returns_of(close)[day - CONFIG.window + 1 : day + 1].T)
    for (source, target), attr in edges_at(graphs, day).items():
        assert attr[CORRELATION] == pytest.approx(correlation[source, target], abs=1e-5)


@pytest.mark.parametrize("day", FULL_HISTORY)
def test_lead_lag_pairs_the_sources_yesterday_with_the_targets_today(
    close: np.ndarray, graphs: DailyGraphs, day: int
) -> None:
    returns = returns_of(close)
    demeaned = returns - returns.mean(axis=1, keepdims=True)
    history = demeaned[day - CONFIG.lead_lag_window + 1 : day + 1]
    for (source, target), attr in edges_at(graphs, day).items():
        naive = np.corrcoef(history[:-1, source], history[1:, target])[0, 1]
        assert attr[LEAD_LAG] == pytest.approx(naive, abs=1e-5)


def test_lead_lag_points_from_a_planted_leader_to_its_follower() -> None:
    rng = np.random.default_rng(4)
    returns = rng.normal(0, 0.01, (NUM_DAYS, NUM_STOCKS))
    returns[1:, 1] = returns[:-1, 0] + rng.normal(0, 0.002, NUM_DAYS - 1)
    config = CONFIG.model_copy(update={"k": NUM_STOCKS - 1, "min_correlation": -1.0})
    graphs = build_graphs(np.exp(np.cumsum(returns, axis=0)), SECTOR, INDUSTRY, config)
    edges = edges_at(graphs, NUM_DAYS - 1)
    assert edges[0, 1][LEAD_LAG] > 0.8
    assert abs(edges[1, 0][LEAD_LAG]) < 0.5


def test_same_sector_and_same_industry_are_equal_known_labels(graphs: DailyGraphs) -> None:
    seen = set()
    for (source, target), attr in edges_at(graphs, NUM_DAYS - 1).items():
        assert attr[SAME_SECTOR] == (SECTOR[source] == SECTOR[target])
        assert attr[SAME_INDUSTRY] == (INDUSTRY[source] == INDUSTRY[target] != "")
        seen.add((float(attr[SAME_SECTOR]), float(attr[SAME_INDUSTRY])))
    assert len(seen) > 2


def test_unknown_labels_are_not_equal_ones(close: np.ndarray) -> None:
    unknown = np.full(NUM_STOCKS, "")
    graphs = build_graphs(close, unknown, unknown, CONFIG)
    assert (graphs.edge_attr[:, SAME_SECTOR:] == 0).all()


# --- when


def test_a_day_uses_the_last_graph_at_or_before_it(close: np.ndarray, graphs: DailyGraphs) -> None:
    for day in range(CONFIG.window, NUM_DAYS):
        rebuilt = max(d for d in REBUILT if d <= day)
        assert graphs.graph_of[day] == list(REBUILT).index(rebuilt)
        np.testing.assert_array_equal(graphs.at(day)[0], graphs.at(rebuilt)[0])
    different = [set(edges_at(graphs, a)) != set(edges_at(graphs, b)) for a, b in pairwise(REBUILT)]
    assert any(different)


def test_before_the_first_graph_there_are_no_edges(graphs: DailyGraphs) -> None:
    assert graphs.first_day == CONFIG.window
    for day in range(graphs.first_day):
        index, attr = graphs.at(day)
        assert (index.shape, attr.shape) == ((2, 0), (0, 4))


@properties(25)
@given(last=st.integers(20, 258))
def test_no_graph_at_or_before_a_day_reads_a_later_one(market: Panel, last: int) -> None:
    config = CorrelationGraphConfig(window=20, lead_lag_window=60, k=3)
    full = build_graphs(market.prices["close"], market.sector, market.industry, config)
    cut = build_graphs(market.prices["close"][: last + 1], market.sector, market.industry, config)
    for day in range(last + 1):
        np.testing.assert_array_equal(cut.at(day)[0], full.at(day)[0])
        np.testing.assert_allclose(cut.at(day)[1], full.at(day)[1], atol=1e-6)


# --- gaps


def test_a_stock_without_a_close_on_the_day_gets_no_edge(close: np.ndarray) -> None:
    gone = close.copy()
    gone[60:, 4] = np.nan
    graphs = build_graphs(gone, SECTOR, INDUSTRY, CONFIG)
    for day in range(60, NUM_DAYS):
        assert 4 not in graphs.at(day)[0]
    assert 4 in graphs.at(55)[0]


def test_a_new_stock_waits_until_it_covers_the_window(close: np.ndarray) -> None:
    late = close.copy()
    late[:50, 4] = np.nan
    graphs = build_graphs(late, SECTOR, INDUSTRY, CONFIG.model_copy(update={"refresh_days": 1}))
    first = min(day for day in range(NUM_DAYS) if 4 in graphs.at(day)[0])
    assert first == 74  # listed on day 50, so the first day of which 24 of 30 returns, or 0.8, are known


def test_a_missing_day_leaves_the_other_stocks_edges_alone(close: np.ndarray, graphs: DailyGraphs) -> None:
    config = CONFIG.model_copy(update={"k": NUM_STOCKS - 1, "min_correlation": -1.0})
    gappy = close.copy()
    gappy[80, 4] = np.nan
    full, gapped = (edges_at(build_graphs(c, SECTOR, INDUSTRY, config), 100) for c in (close, gappy))
    for (source, target), attr in full.items():
        if 4 not in (source, target):
            assert gapped[source, target][CORRELATION] == pytest.approx(attr[CORRELATION], abs=1e-6)
    assert np.isfinite(np.stack(list(gapped.values()))).all()


@pytest.mark.parametrize("num_days", [1, 30])
def test_too_short_a_history_is_refused_with_its_numbers(close: np.ndarray, num_days: int) -> None:
    with pytest.raises(DataError, match=f"returns of 30 days move together, but no day of the {num_days} "):
        build_graphs(close[:num_days], SECTOR, INDUSTRY, CONFIG)


def test_a_market_that_is_never_observed_is_refused() -> None:
    with pytest.raises(DataError, match="correlation graph needs"):
        build_graphs(np.full((80, 5), np.nan), SECTOR[:5], INDUSTRY[:5], CONFIG)


# --- on disk


def test_saved_graphs_are_mapped_back_unchanged(graphs: DailyGraphs, tmp_path: Path) -> None:
    graphs.save(tmp_path)
    loaded = DailyGraphs.load(tmp_path)
    for name, values in vars(graphs).items():
        np.testing.assert_array_equal(getattr(loaded, name), values)
        assert isinstance(getattr(loaded, name), np.memmap)
    assert loaded.first_day == graphs.first_day
    assert loaded.mean_degree == graphs.mean_degree
