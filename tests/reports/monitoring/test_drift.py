"""Drift against a column's own past: the measures by their formulas, the alarms by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reports.monitoring.drift import NUM_BINS, Drift, count, drift, edges_of, ks, psi

ROWS, STRETCHES = 400, 24


def market(rng: np.random.Generator, columns: int, days: int = 20) -> np.ndarray:
    """[n, F] of one stretch: on each day all stocks move together, so that rows are far from independent."""
    common = rng.normal(0, 1, (days, 1, columns))
    own = rng.normal(0, 1, (days, ROWS // days, columns))
    return (common + own).reshape(-1, columns)


def history(rng: np.random.Generator, columns: int) -> tuple[np.ndarray, np.ndarray]:
    parts = [market(rng, columns) for _ in range(STRETCHES)]
    edges = edges_of(np.concatenate(parts))
    return edges, np.stack([count(part, edges) for part in parts])


def test_every_row_is_counted_once_and_missing_ones_apart() -> None:
    values = np.array([[0.0, np.nan], [1.0, np.nan], [np.inf, 5.0], [2.0, 5.0]])
    edges = np.stack([np.linspace(0, 1, NUM_BINS - 2), np.full(NUM_BINS - 2, 5.0)])
    counts = count(values, edges)
    assert counts.sum(axis=1).tolist() == [4, 4]
    assert counts[:, -1].tolist() == [1, 2]
    assert counts[1, -2] == 2, "a value that is every edge lies above them all"


def test_psi_is_the_published_sum() -> None:
    expected, found = np.zeros((1, NUM_BINS)), np.zeros((1, NUM_BINS))
    expected[0, [0, 50]] = 50_000, 50_000
    found[0, [0, 50]] = 70_000, 30_000
    by_hand = (0.7 - 0.5) * np.log(0.7 / 0.5) + (0.3 - 0.5) * np.log(0.3 / 0.5)
    assert psi(expected, found)[0] == pytest.approx(by_hand, rel=1e-3)
    assert psi(expected, expected)[0] == pytest.approx(0, abs=1e-12)


def test_ks_is_scipys_at_percentiles() -> None:
    rng = np.random.default_rng(1)
    before, after = rng.normal(0, 1, (20_000, 1)), rng.normal(0.3, 1.2, (5_000, 1))
    edges = edges_of(before)
    found = ks(count(before, edges), count(after, edges))[0]
    assert found == pytest.approx(stats.ks_2samp(before[:, 0], after[:, 0]).statistic, abs=0.01)


def test_a_column_without_values_drifts_nowhere() -> None:
    nothing = np.full((100, 1), np.nan)
    edges = edges_of(nothing)
    assert np.isfinite(edges).all()
    assert psi(count(nothing, edges), count(nothing, edges))[0] == pytest.approx(0, abs=1e-12)


def test_stretches_alike_are_as_rare_as_they_say() -> None:
    """The p-value of a new stretch, though its rows are dependent and its columns many: uniform, so 5 % below .05."""
    rng = np.random.default_rng(2)
    found = []
    for _ in range(200):
        edges, past = history(rng, 5)
        found.append(drift(list("abcde"), past, count(market(rng, 5), edges)).p_value)
    assert min(found) == pytest.approx(1 / (STRETCHES + 1))
    share = np.mean(np.array(found) <= 0.0801)  # two of 25 values
    assert 0.03 < share < 0.15


def test_the_column_that_shifted_is_named() -> None:
    rng = np.random.default_rng(3)
    edges, past = history(rng, 4)
    now = market(rng, 4)
    now[:, 2] = now[:, 2] * 3 + 2
    found = drift(list("abcd"), past, count(now, edges))
    assert found.columns.index[0] == "c"
    assert found.num_alike == 0
    assert found.columns.loc["c", "psi"] > 0.25
    assert found.columns.loc["c", "alike"] == 0


def test_values_that_go_missing_are_a_drift() -> None:
    rng = np.random.default_rng(4)
    edges, past = history(rng, 2)
    now = market(rng, 2)
    now[: ROWS // 2, 1] = np.nan
    found = drift(["a", "b"], past, count(now, edges))
    assert found.columns.index[0] == "b"
    assert found.columns.loc["b", "missing"] == pytest.approx(0.5)
    assert found.columns.loc["b", "usual_missing"] == 0


def test_a_p_value_counts_the_new_one_itself() -> None:
    import pandas as pd

    assert Drift(pd.DataFrame(), num_stretches=19, num_alike=0).p_value == pytest.approx(0.05)
