"""Targets: every combination of winsorising, scaling, centring and shape, of the universe's known labels alone."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import rankdata

from data.config import LabelConfig
from data.targets import day_targets, open_targets

REPEATABLE = settings(max_examples=60, deadline=None, derandomize=True, database=None)
RAW = LabelConfig(centre="none", shape="raw")
EVERY = [
    LabelConfig.model_validate({"winsorise": w, "scale_by_volatility": s, "centre": c, "shape": shape})
    for w, s, c, shape in itertools.product(
        (0.0, 0.1), (False, True), ("none", "day", "sector"), ("raw", "zscore", "rank_gaussian")
    )
]
SHAPES = ("raw", "zscore", "rank_gaussian")


def name_of(config: LabelConfig) -> str:
    return f"{config.winsorise}-{config.scale_by_volatility}-{config.centre}-{config.shape}"


Days = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def random_days(seed: int = 0, num_days: int = 4, num_stocks: int = 40) -> Days:
    """(labels [B, N, 2], universe, sectors 0..3, volatilities); with gaps, ties, and a last day without labels."""
    rng = np.random.default_rng(seed)
    labels = rng.standard_t(3, (num_days, num_stocks, 2)).astype(np.float32) * 0.02
    labels[:, :6] = labels[:, :1]
    labels[rng.random(labels.shape) < 0.15] = np.nan
    labels[-1] = np.nan
    volatility = rng.uniform(0.005, 0.05, labels.shape[:2])
    volatility[:, 7], volatility[:, 8] = np.nan, 0.0
    return labels, rng.random(labels.shape[:2]) < 0.85, rng.integers(0, 4, labels.shape[:2]), volatility


def naive(labels: np.ndarray, sector: np.ndarray, volatility: np.ndarray, config: LabelConfig) -> np.ndarray:
    """Targets [N] of one day and horizon, NaN where the stock has none."""
    out = np.full(len(labels), np.nan)
    y = labels.astype(np.float64)
    who = np.flatnonzero(np.isfinite(y))
    if not len(who):
        return out
    if config.winsorise:
        y = np.clip(y, *np.quantile(y[who], [config.winsorise, 1 - config.winsorise]))
    if config.scale_by_volatility:
        who = who[np.nan_to_num(volatility[who]) > 0]
        y = y / np.where(volatility > 0, volatility, np.nan)
    for peers in {"none": [], "day": [who], "sector": [who[sector[who] == s] for s in range(4)]}[config.centre]:
        y[peers] -= y[peers].mean() if len(peers) else 0.0
    out[who] = y[who]
    if config.shape == "zscore":
        out[who] = y[who] / y[who].std(ddof=1) if len(who) > 1 and np.ptp(y[who]) > 1e-12 else np.nan
    elif config.shape == "rank_gaussian":
        out[who] = ndtri((rankdata(y[who].round(12)) - 0.5) / len(who))
    return out


@pytest.mark.parametrize("config", EVERY, ids=name_of)
def test_every_combination_equals_its_naive_computation(config: LabelConfig) -> None:
    labels, eligible, sector, volatility = random_days()
    targets = day_targets(labels, eligible, sector, volatility, config)
    assert targets.dtype == np.float32
    for b, k in itertools.product(range(labels.shape[0]), range(labels.shape[2])):
        expected = naive(np.where(eligible[b], labels[b, :, k], np.nan), sector[b], volatility[b], config)
        np.testing.assert_allclose(targets[b, :, k], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("config", EVERY, ids=name_of)
@REPEATABLE
@given(seed=st.integers(0, 9))
def test_labels_outside_the_universe_change_nothing_and_get_no_target(config: LabelConfig, seed: int) -> None:
    labels, eligible, sector, volatility = random_days(seed, num_stocks=15)
    poisoned = np.where(eligible[..., None], labels, np.float32(1e6))
    targets = day_targets(labels, eligible, sector, volatility, config)
    assert np.isnan(targets[~eligible]).all()
    np.testing.assert_array_equal(day_targets(poisoned, eligible, sector, volatility, config), targets)


@pytest.mark.parametrize("config", EVERY, ids=name_of)
def test_a_day_changes_no_other_and_the_labels_stay_as_they_were(config: LabelConfig) -> None:
    labels, *rest = random_days()
    before = labels.copy()
    whole = day_targets(labels, *rest, config)
    for b in range(len(labels)):
        alone = day_targets(labels[b : b + 1], *(values[b : b + 1] for values in rest), config)
        np.testing.assert_allclose(alone[0], whole[b], rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(labels, before)


@pytest.mark.parametrize("config", EVERY, ids=name_of)
def test_a_day_without_labels_has_no_targets(config: LabelConfig) -> None:
    targets = day_targets(*random_days(), config)
    assert np.isnan(targets[-1]).all()


def one_day(labels: list[float], sector: list[int] | None = None, volatility: float = 0.02) -> Days:
    y = np.array(labels, np.float32)[None, :, None]
    sectors = np.zeros(y.shape[:2], int) if sector is None else np.array([sector])
    return y, np.ones(y.shape[:2], bool), sectors, np.full(y.shape[:2], volatility)


@pytest.mark.parametrize("centre", ["none", "day", "sector"])
@pytest.mark.parametrize("scaled", [False, True])
@REPEATABLE
@given(value=st.floats(-0.5, 0.5, width=32), count=st.integers(1, 60), volatility=st.floats(0.001, 0.5))
def test_a_constant_day_has_no_zscore(centre: str, scaled: bool, value: float, count: int, volatility: float) -> None:
    config = LabelConfig.model_validate({"centre": centre, "shape": "zscore", "scale_by_volatility": scaled})
    assert np.isnan(day_targets(*one_day([value] * count, volatility=volatility), config)).all()


@REPEATABLE
@given(values=st.lists(st.floats(-0.5, 0.5, width=32), min_size=2, max_size=4), count=st.integers(2, 20))
def test_a_day_on_which_each_sector_is_constant_has_no_sector_relative_zscore(values: list[float], count: int) -> None:
    sectors = [k for k in range(len(values)) for _ in range(count)]
    days = one_day([values[k] for k in sectors], sectors)
    assert np.isnan(day_targets(*days, LabelConfig(centre="sector", shape="zscore"))).all()


@REPEATABLE
@given(values=st.lists(st.floats(-0.5, 0.5, width=32), min_size=2, max_size=4), count=st.integers(2, 20))
def test_a_day_on_which_each_sector_is_constant_has_one_sector_relative_rank(values: list[float], count: int) -> None:
    sectors = [k for k in range(len(values)) for _ in range(count)]
    days = one_day([values[k] for k in sectors], sectors)
    assert np.unique(day_targets(*days, LabelConfig(centre="sector", shape="rank_gaussian"))).tolist() == [0.0]


def test_a_single_label_has_no_zscore_and_the_middle_rank() -> None:
    days = one_day([0.02, np.nan, np.nan])
    assert np.isnan(day_targets(*days, LabelConfig(shape="zscore"))).all()
    ranks = day_targets(*days, LabelConfig(shape="rank_gaussian"))[0, :, 0]
    np.testing.assert_array_equal(ranks, [0.0, np.nan, np.nan])


def test_ties_share_a_rank_and_keep_their_order_to_others() -> None:
    ranks = day_targets(*one_day([0.1, 0.3, 0.1, 0.2]), LabelConfig(shape="rank_gaussian"))[0, :, 0]
    np.testing.assert_allclose(ranks, ndtri([0.25, 0.875, 0.25, 0.625]), rtol=1e-5)


def test_winsorising_pulls_in_only_the_given_share_at_each_end() -> None:
    labels = [float(k) for k in range(101)]
    y = day_targets(*one_day(labels), RAW.model_copy(update={"winsorise": 0.05}))[0, :, 0]
    np.testing.assert_allclose(y, np.clip(labels, 5, 95), rtol=1e-6)


def test_raw_labels_without_any_transform_stay_themselves() -> None:
    labels, eligible, *rest = random_days()
    np.testing.assert_array_equal(
        day_targets(labels, eligible, *rest, RAW), np.where(eligible[..., None], labels, np.nan)
    )


def test_a_stock_without_volatility_has_no_volatility_scaled_target() -> None:
    labels, eligible, sector, volatility = random_days()
    targets = day_targets(labels, eligible, sector, volatility, RAW.model_copy(update={"scale_by_volatility": True}))
    assert np.isnan(targets[:, [7, 8]]).all()
    assert np.isfinite(targets[:-1, 9:]).any()


def test_stocks_of_no_known_sector_are_centred_among_themselves() -> None:
    days = one_day([0.1, 0.3, 0.5, 0.9], sector=[0, 0, 1, 1])
    y = day_targets(*days, LabelConfig(centre="sector", shape="raw"))[0, :, 0]
    np.testing.assert_allclose(y, [-0.1, 0.1, -0.2, 0.2], rtol=1e-5)


@pytest.mark.parametrize("config", EVERY[::5], ids=name_of)
def test_the_targets_beside_a_store_are_those_of_its_days_and_computed_once(
    tmp_path: Path, config: LabelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.targets.STRETCH_BYTES", 1000)
    days = random_days(num_days=7)
    first = open_targets(tmp_path, *days, config)
    np.testing.assert_array_equal(first, day_targets(*days, config))
    np.testing.assert_array_equal(open_targets(tmp_path, np.zeros_like(days[0]), *days[1:], config), first)
    other = config.model_copy(update={"winsorise": 0.3})
    np.testing.assert_array_equal(open_targets(tmp_path, *days, other), day_targets(*days, other))
