"""Derived arrays: the same bytes for any memory budget, and the first day that is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.bars import Bars
from data.derive import VOLATILITY_DAYS, first_known_day
from data.errors import DataError
from data.features import FEATURES, compute_features
from data.labels import forward_returns, tradable_entries
from data.prepare import prepare
from data.rolling import enough
from data.store import MarketStore
from tests.data.test_prepare import CONFIG, array_files, changed, market_frame, pivot, save

BOTH = changed(CONFIG, columns={"features": "both"}, universe={"min_turnover": 1e5, "turnover_window": 20})


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Long enough that features of the last days do not read the first; with halts, price limits and a delisting."""
    frame = market_frame(num_days=470, num_stocks=10)
    rng = np.random.default_rng(5)
    frame.loc[rng.random(len(frame)) < 0.01, "volume"] = 0.0
    locked = rng.random(len(frame)) < 0.03
    limit = 1.05 * frame["close"]
    for name in ("open", "high", "low", "close"):
        frame[name] = frame[name].where(~locked, limit)
    ended = (frame["Code"] == "1320") & (frame["Date"] > pd.Timestamp("2021-03-01"))
    return frame[~ended].reset_index(drop=True)


@pytest.fixture(scope="module")
def store(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> MarketStore:
    folder = tmp_path_factory.mktemp("derived")
    return prepare(save(frame, folder / "p.parquet"), folder / "s", BOTH)


def test_the_memory_budget_changes_no_byte(store: MarketStore, frame: pd.DataFrame, tmp_path: Path) -> None:
    """With one MiB, features are computed 16 days at a time, each with its own history."""
    tight = prepare(save(frame, tmp_path / "p.parquet"), tmp_path / "s", BOTH, memory_mib=1)
    mine, others = array_files(tight), array_files(store)
    assert [name for name in mine if mine[name] != others[name]] == []
    assert (tight.folder / "meta.json").read_bytes() == (store.folder / "meta.json").read_bytes()


def test_built_in_features_are_those_of_the_whole_panel_at_once(store: MarketStore, frame: pd.DataFrame) -> None:
    prices = {role: pivot(frame, store, role) for role in ("open", "high", "low", "close", "volume")}
    bars = Bars(
        **prices,
        turnover=prices["close"] * prices["volume"],
        sector=np.asarray(store.sector).astype(np.int64),
        eligible=np.asarray(store.eligible),
        dates=store.dates,
    )
    features = np.empty((*store.present.shape, len(FEATURES)), np.float32)
    compute_features(bars, features)
    np.testing.assert_allclose(store.features[..., : len(FEATURES)], features, rtol=1e-4, atol=1e-5)


def test_features_that_are_left_out_change_no_other(store: MarketStore, frame: pd.DataFrame, tmp_path: Path) -> None:
    left_out = ("momentum_*", "return_1")
    settings = changed(BOTH, columns={"features": "both", "exclude": left_out})
    less = prepare(save(frame, tmp_path / "p.parquet"), tmp_path / "s", settings)
    kept = [name for name in store.meta.features if name != "return_1" and not name.startswith("momentum_")]
    assert less.meta.features == kept
    assert len(kept) < len(store.meta.features)
    places = [store.meta.features.index(name) for name in kept]
    np.testing.assert_array_equal(less.features, np.asarray(store.features)[..., places])


def test_labels_are_forward_returns_of_the_cut_panel(store: MarketStore, frame: pd.DataFrame) -> None:
    bars = {role: pivot(frame, store, role) for role in ("close", "volume", "high", "low")}
    close, tradable = bars["close"], tradable_entries(bars)
    wanted = forward_returns(close, close, tradable, CONFIG.horizons, CONFIG.delay)
    np.testing.assert_array_equal(store.labels, wanted)
    assert store.meta.num_untradable == (np.isfinite(close) & ~tradable).sum() > 0


def test_volatility_is_the_trailing_deviation_of_the_returns(store: MarketStore, frame: pd.DataFrame) -> None:
    returns = pd.DataFrame(np.log(pivot(frame, store, "close"))).diff()
    wanted = returns.rolling(VOLATILITY_DAYS, min_periods=enough(VOLATILITY_DAYS)).std().to_numpy()
    np.testing.assert_allclose(store.volatility, wanted, rtol=1e-4)


def test_without_a_close_returns_come_from_their_own_column(frame: pd.DataFrame, tmp_path: Path) -> None:
    simple = frame.groupby("Code")["close"].pct_change(fill_method=None)
    bare = frame.assign(returns_1d=simple, target_1d=0.5 * frame["f0"], target_3d=frame["f1"] ** 2)
    bare = bare.drop(columns=["open", "high", "low", "close", "volume"])
    store = prepare(save(bare, tmp_path / "p.parquet"), tmp_path / "s", changed(CONFIG, columns={"exclude": ("f*",)}))
    wanted = np.log1p(pivot(bare, store, "returns_1d"))
    np.testing.assert_allclose(store.returns, wanted, rtol=1e-5, atol=1e-7)
    assert "returns_1d" in store.meta.features
    wanted_labels = np.stack([pivot(bare, store, f"target_{h}d") for h in CONFIG.horizons], axis=2)
    end = store.num_days - CONFIG.reach
    np.testing.assert_array_equal(store.labels[:end], wanted_labels[:end].astype(np.float32))


def test_own_targets_of_untradable_entries_are_masked_and_counted(tmp_path: Path) -> None:
    frame = market_frame().assign(volume=5000.0)
    rng = np.random.default_rng(0)
    frame = frame.assign(**{f"target_{h}d": rng.normal(size=len(frame)) for h in CONFIG.horizons})
    frame.loc[frame.index[100], "volume"] = 0.0
    config = changed(CONFIG, labels={"source": "panel"})
    store = prepare(save(frame, tmp_path / "p.parquet"), tmp_path / "s", config)
    entry = int(np.flatnonzero(store.dates == np.datetime64(frame["Date"][100], "D"))[0])
    stock = store.meta.codes.index(frame["Code"][100])
    masked = np.isnan(store.labels) & np.isfinite(
        np.stack([pivot(frame, store, f"target_{h}d") for h in CONFIG.horizons], axis=2)
    )
    end = store.num_days - CONFIG.reach
    assert np.argwhere(masked[:end]).tolist() == [[entry - 1, stock, 0], [entry - 1, stock, 1]]
    assert store.meta.num_untradable == 1


# --- the first known day


def folder_with(tmp_path: Path, features: np.ndarray, present: np.ndarray) -> Path:
    np.save(tmp_path / "features.npy", features.astype(np.float32))
    np.save(tmp_path / "present.npy", present)
    return tmp_path


@pytest.mark.parametrize("known_from", [0, 1, 7])
def test_the_first_known_day_has_half_of_its_features(tmp_path: Path, known_from: int) -> None:
    features = np.zeros((10, 4, 2))
    features[:known_from, :, 1] = np.nan
    features[:known_from, 0] = np.nan
    assert first_known_day(folder_with(tmp_path, features, np.ones((10, 4), bool))) == known_from


def test_stocks_without_a_row_do_not_count(tmp_path: Path) -> None:
    features, present = np.full((3, 4, 2), np.nan), np.zeros((3, 4), bool)
    present[1:, 0] = True
    features[2, 0] = 1.0
    assert first_known_day(folder_with(tmp_path, features, present)) == 2


def test_no_known_day_is_refused(tmp_path: Path) -> None:
    features = np.full((3, 4, 3), np.nan)
    features[..., 0] = 1.0
    with pytest.raises(DataError, match="no day has half of its features; the panel is too short or too sparse"):
        first_known_day(folder_with(tmp_path, features, np.ones((3, 4), bool)))


def test_the_store_says_its_first_known_day(frame: pd.DataFrame, tmp_path: Path) -> None:
    late = frame["Date"] >= sorted(frame["Date"].unique())[5]
    empty = frame.assign(**{name: frame[name].where(late) for name in ("f0", "f1", "late_eps")})
    store = prepare(save(empty, tmp_path / "p.parquet"), tmp_path / "s", CONFIG)
    assert store.meta.first_known == 5
