"""The edges of one date against naive loops: correlations, neighbours, lead-lag direction, sectors, the placebo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from data.config import CorrelationGraphConfig, SectorGraphConfig
from data.edges import Edges, correlation_edges, sector_edges, shuffled

CORRELATION, LEAD_LAG, SAME_SECTOR, SAME_INDUSTRY = range(4)
SIZES = [2, 3, 5, 14, 15, 40, 127, 129, 500]
Pairs = dict[tuple[int, int], np.ndarray]


def returns_of(num_stocks: int, num_days: int = 80, seed: int = 0) -> np.ndarray:
    """[T, N] float32 returns with a common part."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 0.01, (num_days, 1)) + rng.normal(0, 0.01, (num_days, num_stocks))
    return values.astype(np.float32)


def settings(**changes: Any) -> CorrelationGraphConfig:
    """Every pair is an edge, and yesterday's move alone leads, unless changed."""
    usual = {"window": 60, "k": 1000, "min_correlation": -1, "lead_lag_k": 0, "lead_lag_decay": 0.0}
    return CorrelationGraphConfig(**{**usual, **changes})


def edges_of(
    returns: np.ndarray,
    config: CorrelationGraphConfig,
    eligible: np.ndarray | None = None,
    sector: np.ndarray | None = None,
    industry: np.ndarray | None = None,
) -> Edges:
    """The edges of the last day; everybody is eligible and no label is known, unless given."""
    num = returns.shape[1]
    unknown = np.zeros(num, int)
    return correlation_edges(
        returns,
        np.ones(num, bool) if eligible is None else eligible,
        unknown if sector is None else sector,
        unknown if industry is None else industry,
        config,
    )


def sector_edges_of(returns: np.ndarray, sector: np.ndarray, k: int, eligible: np.ndarray | None = None) -> Edges:
    everyone = np.ones(len(sector), bool)
    config = SectorGraphConfig(k=k)
    return sector_edges(returns, everyone if eligible is None else eligible, sector, sector, config, settings())


def by_pair(edges: Edges) -> Pairs:
    """(source, target) -> attributes."""
    return {(int(i), int(j)): attr for i, j, attr in zip(*edges.index, edges.attr, strict=True)}


def degrees(edges: Edges, num: int) -> np.ndarray:
    return np.bincount(edges.index[0], minlength=num)


def naive_neighbours(correlation: np.ndarray, config: CorrelationGraphConfig) -> set[tuple[int, int]]:
    """Sorts every row; keeps the k strongest above the threshold, and the first `min_degree` in any case."""
    chosen = set()
    for i in range(len(correlation)):
        others = sorted((j for j in range(len(correlation)) if j != i), key=lambda j: -correlation[i, j])
        for place, j in enumerate(others[: config.k]):
            if correlation[i, j] > config.min_correlation or place < config.min_degree:
                chosen |= {(i, j), (j, i)}
    return chosen


def assert_proper(edges: Edges) -> None:
    """Symmetric, no self loop, no duplicate, one row of attributes per edge."""
    pairs = list(map(tuple, edges.index.T.tolist()))
    assert len(pairs) == len(set(pairs)) == len(edges.attr) == edges.count
    assert {(j, i) for i, j in pairs} == set(pairs)
    assert all(i != j for i, j in pairs)
    assert np.isfinite(edges.attr).all()


# --- correlations


def test_pearson_is_that_of_numpy_over_the_window_alone() -> None:
    returns = returns_of(12)
    naive = np.corrcoef(returns[-60:].astype(float).T)
    pairs = by_pair(edges_of(returns, settings()))
    assert len(pairs) == 12 * 11
    for (i, j), attr in pairs.items():
        assert attr[CORRELATION] == pytest.approx(naive[i, j], abs=1e-5)


def test_the_exponential_correlation_halves_a_days_weight_every_half_life() -> None:
    returns, config = returns_of(10), settings(method="exponential", half_life=7)
    x, weight = returns[-60:].astype(float), 0.5 ** (np.arange(60)[::-1] / 7)
    naive = np.cov(x.T, aweights=weight)
    scale = np.sqrt(np.diag(naive))
    for (i, j), attr in by_pair(edges_of(returns, config)).items():
        assert attr[CORRELATION] == pytest.approx(naive[i, j] / scale[i] / scale[j], abs=1e-5)


def test_the_exponential_correlation_is_pandas_ewm_at_the_windows_end() -> None:
    returns, config = returns_of(4), settings(method="exponential", half_life=9)
    frame = pd.DataFrame(returns[-60:].astype(float))
    for (i, j), attr in by_pair(edges_of(returns, config)).items():
        naive = frame[i].ewm(halflife=9).corr(frame[j]).iloc[-1]
        assert attr[CORRELATION] == pytest.approx(naive, abs=1e-5)


def test_the_rank_correlation_is_spearmans_with_ties() -> None:
    returns = np.round(returns_of(10), 2)  # many equal values
    naive = spearmanr(returns[-60:]).statistic
    for (i, j), attr in by_pair(edges_of(returns, settings(method="rank"))).items():
        assert attr[CORRELATION] == pytest.approx(naive[i, j], abs=1e-5)


def test_one_absurd_return_moves_the_rank_correlation_least() -> None:
    returns = returns_of(6)
    spoilt = returns.copy()
    spoilt[-10, 0] = 3.0
    moved = {}
    for method in ("pearson", "rank"):
        before, after = (by_pair(edges_of(x, settings(method=method)))[0, 1] for x in (returns, spoilt))
        moved[method] = abs(after[CORRELATION] - before[CORRELATION])
    assert moved["rank"] < 0.1 < moved["pearson"]


@pytest.mark.parametrize("method", ["pearson", "exponential", "rank"])
def test_missing_days_count_as_the_stocks_mean_and_leave_other_pairs_alone(method: str) -> None:
    returns = returns_of(8)
    gappy = returns.copy()
    gappy[[-50, -30, -20], 2] = np.nan
    full, gapped = (by_pair(edges_of(x, settings(method=method))) for x in (returns, gappy))
    for (i, j), attr in full.items():
        assert gapped[i, j][CORRELATION] == pytest.approx(attr[CORRELATION], abs=0.25 if 2 in (i, j) else 1e-6)


def test_the_pearson_correlation_of_a_gappy_stock_is_that_of_its_filled_returns() -> None:
    returns = returns_of(5).astype(float)
    returns[[-50, -30], 2] = np.nan
    filled = np.where(np.isnan(returns), np.nanmean(returns[-60:], axis=0), returns)
    naive = np.corrcoef(filled[-60:].T)
    for (i, j), attr in by_pair(edges_of(returns, settings())).items():
        assert attr[CORRELATION] == pytest.approx(naive[i, j], abs=1e-5)


@pytest.mark.parametrize("constant", [0.0, 0.001, 0.0007, -0.003])
def test_a_stock_whose_return_never_changes_is_nobodys_neighbour(constant: float) -> None:
    returns = returns_of(8)
    returns[:, [1, 5]] = constant
    edges = edges_of(returns, settings(k=3, min_correlation=0))
    assert not np.isin(edges.index, [1, 5]).any()


def test_correlations_stay_within_one_for_equal_and_opposite_stocks() -> None:
    returns = returns_of(4)
    returns[:, 1], returns[:, 2] = returns[:, 0], -returns[:, 0]
    edges = edges_of(returns, settings(min_degree=1000))
    pairs = by_pair(edges)
    assert (np.abs(edges.attr) <= 1).all()
    assert pairs[0, 1][CORRELATION] == pytest.approx(1, abs=1e-6)
    assert pairs[0, 2][CORRELATION] == pytest.approx(-1, abs=1e-6)


# --- neighbours


@pytest.mark.parametrize("num", SIZES)
@pytest.mark.parametrize("k", [1, 3, 14])
def test_the_neighbours_are_those_of_a_naive_sort(num: int, k: int) -> None:
    returns, config = returns_of(num, seed=num), settings(k=k)
    edges = edges_of(returns, config)
    assert_proper(edges)
    assert set(by_pair(edges)) == naive_neighbours(np.corrcoef(returns[-60:].astype(float).T), config)


def test_strong_neighbours_that_lie_side_by_side_are_all_found() -> None:
    returns = returns_of(500, seed=1)
    returns[:, 490:500] = returns[:, [490]] + 0.1 * returns[:, 490:500]
    config = settings(k=9)
    expected = naive_neighbours(np.corrcoef(returns[-60:].astype(float).T), config)
    found = set(by_pair(edges_of(returns, config)))
    assert found == expected
    assert {(i, j) for i in range(490, 500) for j in range(490, 500) if i != j} <= found


@pytest.mark.parametrize("k", [1, 2, 5])
def test_among_equal_correlations_every_stock_still_gets_k(k: int) -> None:
    returns = np.repeat(returns_of(1), 12, axis=1)
    edges = edges_of(returns, settings(k=k))
    assert_proper(edges)
    assert (degrees(edges, 12) >= k).all()


def test_nobody_has_fewer_than_k_neighbours_without_a_threshold() -> None:
    assert degrees(edges_of(returns_of(60), settings(k=7)), 60).min() == 7


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.6])
def test_neighbours_exceed_the_threshold(threshold: float) -> None:
    returns, config = returns_of(40), settings(k=14, min_correlation=threshold)
    edges = edges_of(returns, config)
    assert (edges.attr[:, CORRELATION] > threshold).all()
    assert set(by_pair(edges)) == naive_neighbours(np.corrcoef(returns[-60:].astype(float).T), config)


def test_a_threshold_that_nobody_exceeds_leaves_no_edge() -> None:
    edges = edges_of(returns_of(10), settings(min_correlation=0.99))
    assert (edges.index.shape, edges.attr.shape) == ((2, 0), (0, 4))


@pytest.mark.parametrize("least", [1, 3])
def test_the_strongest_neighbours_are_kept_below_the_threshold_up_to_the_minimum(least: int) -> None:
    returns, config = returns_of(40), settings(k=6, min_correlation=0.6, min_degree=least)
    edges = edges_of(returns, config)
    assert degrees(edges, 40).min() >= least
    assert set(by_pair(edges)) == naive_neighbours(np.corrcoef(returns[-60:].astype(float).T), config)


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_shrinkage_draws_correlations_to_their_mean_before_the_threshold(share: float) -> None:
    returns, config = returns_of(30), settings(k=6, shrinkage=share, min_correlation=0.5)
    naive = np.corrcoef(returns[-60:].astype(float).T)
    shrunk = (1 - share) * naive + share * naive[~np.eye(30, dtype=bool)].mean()
    edges = edges_of(returns, config)
    assert set(by_pair(edges)) == naive_neighbours(shrunk, config)
    for (i, j), attr in by_pair(edges).items():
        assert attr[CORRELATION] == pytest.approx(shrunk[i, j], abs=1e-5)


# --- who takes part


def test_a_stock_that_is_not_eligible_gets_no_edge_and_changes_nobodys() -> None:
    returns, eligible = returns_of(10), np.ones(10, bool)
    eligible[[3, 7]] = False
    rest = np.flatnonzero(eligible)
    some, alone = edges_of(returns, settings(k=3), eligible), edges_of(returns[:, rest], settings(k=3))
    np.testing.assert_array_equal(some.index, rest[alone.index])
    np.testing.assert_array_equal(some.attr, alone.attr)


@pytest.mark.parametrize(("missing", "has_edges"), [(12, True), (13, False)])
def test_a_stock_needs_four_fifths_of_the_window(missing: int, has_edges: bool) -> None:
    returns = returns_of(6)
    returns[-60 : -60 + missing, 2] = np.nan
    assert (2 in edges_of(returns, settings()).index) == has_edges


def test_a_stock_without_a_return_on_the_date_gets_no_edge() -> None:
    returns = returns_of(6)
    returns[-1, 2] = np.nan
    assert 2 not in edges_of(returns, settings()).index


@pytest.mark.parametrize("num", [0, 1])
def test_fewer_than_two_stocks_have_no_edge(num: int) -> None:
    returns = returns_of(5)
    returns[:, num:] = np.nan
    assert edges_of(returns, settings()).count == 0


# --- attributes


def test_lead_lag_pairs_the_sources_yesterday_with_the_targets_today() -> None:
    returns = returns_of(9, num_days=150).astype(float)
    demeaned = returns - returns.mean(axis=1, keepdims=True)
    history = demeaned[-100:]
    pairs = by_pair(edges_of(returns, settings(lead_lag_window=100)))
    for (i, j), attr in pairs.items():
        naive = np.corrcoef([history[t, i] for t in range(99)], [history[t + 1, j] for t in range(99)])[0, 1]
        assert attr[LEAD_LAG] == pytest.approx(naive, abs=1e-5)


def test_lead_lag_points_from_the_leader_to_its_follower() -> None:
    returns = returns_of(20, num_days=200)
    returns[1:, 1] = returns[:-1, 0] - returns[:-1].mean(axis=1) + returns[1:].mean(axis=1)
    pairs = by_pair(edges_of(returns, settings(lead_lag_window=200)))
    assert pairs[0, 1][LEAD_LAG] > 0.9
    assert abs(pairs[1, 0][LEAD_LAG]) < 0.3


@pytest.mark.parametrize("decay", [0.3, 0.85])
def test_a_move_leads_for_as_long_as_it_counts(decay: float) -> None:
    """The source's moves summed with fading weights, against the target's next day."""
    returns = returns_of(6, num_days=150).astype(float)
    demeaned = (returns - returns.mean(axis=1, keepdims=True))[-100:]
    weight = decay ** np.arange(100)
    faded = np.array([(demeaned[t::-1] * weight[: t + 1, None]).sum(axis=0) for t in range(100)])
    pairs = by_pair(edges_of(returns, settings(lead_lag_window=100, lead_lag_decay=decay)))
    for (i, j), attr in pairs.items():
        assert attr[LEAD_LAG] == pytest.approx(np.corrcoef(faded[:-1, i], demeaned[1:, j])[0, 1], abs=1e-5)


def test_leaders_are_neighbours_though_they_do_not_move_together() -> None:
    """Stock 0 moves 1 a day later and by nothing else; among 40 its correlation with it is one of many."""
    returns = returns_of(40, num_days=300)
    returns[1:, 1] = returns[:-1, 0] - returns[:-1].mean(axis=1) + returns[1:].mean(axis=1)
    assert (0, 1) in by_pair(edges_of(returns, settings(k=1, lead_lag_k=1)))
    assert (0, 1) not in by_pair(edges_of(returns, settings(k=1)))


def test_every_stock_has_its_strongest_leaders_and_each_pair_once() -> None:
    returns = returns_of(30, num_days=200).astype(float)
    found = by_pair(edges_of(returns, settings(k=1, lead_lag_k=4)))
    every = by_pair(edges_of(returns, settings()))
    for target in range(30):
        leads = {i: attr[LEAD_LAG] for (i, j), attr in every.items() if j == target}
        strongest = [i for i in sorted(leads, key=lambda i: -leads[i])[:4] if leads[i] > 0]
        assert all((i, target) in found for i in strongest)
    assert all(np.allclose(attr, every[pair], atol=1e-6) for pair, attr in found.items())
    edges = edges_of(returns, settings(k=1, lead_lag_k=4))
    assert_proper(edges)


def test_a_common_market_move_gives_no_lead_lag() -> None:
    rng = np.random.default_rng(3)
    market = np.convolve(rng.normal(0, 0.02, 259), np.ones(10) / 3, "valid")  # moves slowly: all stocks lead all
    returns = market[:, None] + rng.normal(0, 0.01, (250, 12))
    assert np.abs(edges_of(returns, settings()).attr[:, LEAD_LAG]).mean() < 0.15


def test_lead_lag_fills_the_days_before_a_late_listing_with_its_mean() -> None:
    returns = returns_of(8, num_days=200).astype(float)
    returns[:120, 3] = np.nan
    demeaned = returns - np.nanmean(returns, axis=1, keepdims=True)
    lead, lag = demeaned[:-1], demeaned[1:]
    lead, lag = (np.where(np.isnan(x), np.nanmean(x, axis=0), x) for x in (lead, lag))
    pairs = by_pair(edges_of(returns, settings(lead_lag_window=200)))
    for i, j in [(3, 5), (5, 3)]:
        assert pairs[i, j][LEAD_LAG] == pytest.approx(np.corrcoef(lead[:, i], lag[:, j])[0, 1], abs=1e-5)


def test_labels_are_the_same_where_both_are_known_and_equal() -> None:
    sector, industry = np.array([1, 1, 2, 0, 0, 1]), np.array([1, 2, 1, 0, 3, 1])
    for (i, j), attr in by_pair(edges_of(returns_of(6), settings(), sector=sector, industry=industry)).items():
        assert attr[SAME_SECTOR] == float(sector[i] == sector[j] != 0)
        assert attr[SAME_INDUSTRY] == float(industry[i] == industry[j] != 0)


def test_the_two_directions_of_a_pair_differ_in_lead_lag_alone() -> None:
    pairs = by_pair(edges_of(returns_of(30), settings(k=4), sector=np.arange(30) % 3))
    for (i, j), attr in pairs.items():
        np.testing.assert_array_equal(attr[[0, 2, 3]], pairs[j, i][[0, 2, 3]])
    assert any(attr[LEAD_LAG] != pairs[j, i][LEAD_LAG] for (i, j), attr in pairs.items())


def test_the_first_half_holds_each_pair_once_and_the_second_its_reverse() -> None:
    index = edges_of(returns_of(30), settings(k=4)).index
    half = index.shape[1] // 2
    np.testing.assert_array_equal(index[:, :half], index[::-1, half:])


# --- sectors


@pytest.mark.parametrize("k", [2, 3, 4, 8, 20])
def test_a_sector_graph_stays_within_sectors_with_at_most_k_neighbours(k: int) -> None:
    sector = np.array([1] * 9 + [2] * 4 + [3] * 2 + [4] + [0] * 3)
    edges = sector_edges_of(returns_of(len(sector)), sector, k)
    assert_proper(edges)
    assert (sector[edges.index[0]] == sector[edges.index[1]]).all()
    assert (edges.attr[:, [SAME_SECTOR, SAME_INDUSTRY]] == 1).all()
    count = degrees(edges, len(sector))
    assert (count[sector == 0] == 0).all(), "an unknown sector is none"
    assert (count <= k).all()
    assert (count[:15] > 0).all()


def test_a_large_k_joins_everybody_in_a_sector() -> None:
    sector = np.array([1] * 5 + [2] * 4)
    assert sector_edges_of(returns_of(9), sector, 20).count == 5 * 4 + 4 * 3


def test_a_sector_edge_has_the_correlation_and_the_lead_lag_of_its_pair() -> None:
    returns, sector = returns_of(9), np.array([1] * 5 + [2] * 4)
    expected = by_pair(edges_of(returns, settings(), sector=sector))
    for pair, attr in by_pair(sector_edges_of(returns, sector, 4)).items():
        np.testing.assert_allclose(attr[:3], expected[pair][:3], atol=1e-6)


def test_sector_edges_leave_out_who_is_not_eligible() -> None:
    returns, sector, eligible = returns_of(9), np.ones(9, int), np.ones(9, bool)
    eligible[4] = False
    edges = sector_edges_of(returns, sector, 20, eligible)
    assert sorted(set(edges.index[0].tolist())) == [0, 1, 2, 3, 5, 6, 7, 8]


def test_a_stock_without_a_return_on_the_date_keeps_its_sector_edges_and_what_its_past_says_of_them() -> None:
    returns, sector = returns_of(9), np.ones(9, int)
    full = by_pair(sector_edges_of(returns, sector, 20))
    returns[-1, 2] = np.nan
    gapped = by_pair(sector_edges_of(returns, sector, 20))
    assert gapped.keys() == full.keys()
    for pair, attr in gapped.items():
        np.testing.assert_allclose(attr[:2], full[pair][:2], atol=0.25 if 2 in pair else 0.02)
        assert 2 not in pair or attr[CORRELATION] != 0


@pytest.mark.parametrize("without", [[4], [0, 4, 8], list(range(9))])
def test_a_stock_without_any_return_has_sector_edges_whose_correlations_are_0(without: list[int]) -> None:
    returns, sector = returns_of(9), np.array([1] * 5 + [2] * 4)
    full = by_pair(sector_edges_of(returns, sector, 4))
    returns[:, without] = np.nan
    edges = sector_edges_of(returns, sector, 4)
    assert_proper(edges)
    pairs = by_pair(edges)
    assert pairs.keys() == full.keys()
    for pair, attr in pairs.items():
        if set(pair) & set(without):
            assert attr.tolist() == [0, 0, 1, 1]
        else:
            assert attr[CORRELATION] == pytest.approx(full[pair][CORRELATION], abs=1e-6)


def test_a_market_without_sectors_has_no_sector_edges() -> None:
    assert sector_edges_of(returns_of(9), np.zeros(9, int), 4).count == 0


# --- the placebo


@pytest.mark.parametrize(("num", "k"), [(5, 2), (10, 3), (24, 3), (24, 8), (24, 14), (40, 14), (80, 14), (500, 14)])
def test_the_placebo_keeps_every_stocks_degree(num: int, k: int) -> None:
    edges = edges_of(returns_of(num), settings(k=k))
    placebo = shuffled(edges, seed=5)
    assert_proper(placebo)
    np.testing.assert_array_equal(degrees(placebo, num), degrees(edges, num))


def test_the_placebo_of_a_sector_graph_keeps_every_stocks_degree() -> None:
    edges = sector_edges_of(returns_of(60), 1 + np.arange(60) % 5, 8)
    placebo = shuffled(edges, seed=5)
    assert_proper(placebo)
    np.testing.assert_array_equal(degrees(placebo, 60), degrees(edges, 60))


def test_the_placebo_shares_no_more_pairs_than_chance() -> None:
    edges = edges_of(returns_of(200), settings(k=14))
    before, after = set(by_pair(edges)), set(by_pair(shuffled(edges, seed=5)))
    assert len(before & after) / len(before) < 0.15, "density is 0.09"


def test_the_placebo_keeps_the_attributes_but_not_with_their_pairs() -> None:
    edges = edges_of(returns_of(80), settings(k=5))
    placebo = shuffled(edges, seed=5)
    np.testing.assert_array_equal(placebo.attr, edges.attr)
    naive = np.corrcoef(returns_of(80)[-60:].astype(float).T)
    own, told = ([naive[i, j] for i, j in some.index.T] for some in (edges, placebo))
    np.testing.assert_allclose(edges.attr[:, CORRELATION], own, atol=1e-5)
    assert np.mean(told) < np.mean(own) - 0.05


def test_the_placebo_is_decided_by_its_seed() -> None:
    edges = edges_of(returns_of(80), settings(k=5))
    np.testing.assert_array_equal(shuffled(edges, 5).index, shuffled(edges, 5).index)
    assert set(by_pair(shuffled(edges, 5))) != set(by_pair(shuffled(edges, 6)))


def test_the_placebo_leaves_the_original_alone() -> None:
    edges = edges_of(returns_of(40), settings(k=5))
    before = edges.index.copy()
    shuffled(edges, 5)
    np.testing.assert_array_equal(edges.index, before)


@pytest.mark.parametrize("num", [0, 2])
def test_a_graph_that_cannot_be_shuffled_stays_as_it_is(num: int) -> None:
    edges = edges_of(returns_of(num), settings()) if num else edges_of(returns_of(1), settings())
    assert set(by_pair(shuffled(edges, 5))) == set(by_pair(edges))
