"""The promise of the data layer: nothing at or before a day depends, by one bit, on what came after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.config import (
    ColumnGroup,
    ColumnsConfig,
    CorrelationGraphConfig,
    DataConfig,
    GraphConfig,
    InspectionConfig,
    SectorGraphConfig,
    SplitConfig,
    UniverseConfig,
)
from data.prepare import prepare
from data.scaler import RobustScaler
from data.store import MarketStore

REPEATABLE = settings(max_examples=10, deadline=None, derandomize=True, database=None)
NUM_DAYS, NUM_STOCKS = 170, 16
PRICES = ("open", "high", "low", "close")
FIRST_CUT = 75  # before it, half of the built-in features have no history
LAST_DAYS = st.integers(FIRST_CUT, NUM_DAYS - 2)
GRAPHS: tuple[GraphConfig, ...] = (
    CorrelationGraphConfig(window=20, lead_lag_window=40, k=3, refresh_days=3),
    CorrelationGraphConfig(window=20, lead_lag_window=40, k=4, refresh_days=7, method="rank", shrinkage=0.2),
    CorrelationGraphConfig(window=30, lead_lag_window=20, k=2, method="exponential", shuffled=True),
    SectorGraphConfig(k=4, refresh_days=5),
)
ANYTHING = InspectionConfig(max_factor=1e9, max_fall=1e9)


@dataclass(frozen=True)
class Kind:
    """A kind of panel: how its rows are made, what is asked of them, and how later rows are spoilt."""

    table: Callable[[], pd.DataFrame]
    config: DataConfig
    values: tuple[str, ...]  # numeric columns


def calendar() -> np.ndarray:
    return np.busday_offset("2021-03-01", np.arange(NUM_DAYS), roll="forward").astype("datetime64[ns]")


def cells(rng: np.random.Generator) -> pd.DataFrame:
    """(day, stock) of the rows: gaps, four late listings whose codes sort between the others, two early ends."""
    present = rng.random((NUM_DAYS, NUM_STOCKS)) > 0.02
    for stock, first in ((1, 60), (4, 100), (9, 130), (12, 150)):
        present[:first, stock] = False
    present[110:, 6], present[140:, 7] = False, False
    day, stock = np.nonzero(present)
    codes = np.array([f"{1300 + 7 * k}" if k % 5 else f"{130 + k}A" for k in range(NUM_STOCKS)])
    sector = np.where((stock % 4 == 2) & (day > 120), 0, stock % 4)  # a sector that ends, one that is new
    section = np.where((stock % 3 == 0) & (day % 50 < 25), "Growth", "Prime")
    names = np.array(["Banks", "Chemicals", "Retail", "Airlines"])
    frame = pd.DataFrame({"date": calendar()[day], "code": codes[stock], "sector": names[sector], "section": section})
    return frame.assign(day=day, stock=stock)


def prices() -> pd.DataFrame:
    """OHLCV with days without volume and locked days."""
    rng = np.random.default_rng(5)
    frame = cells(rng)
    moves = rng.normal(0, 0.01, (NUM_DAYS, 1)) + rng.normal(0, 0.02, (NUM_DAYS, NUM_STOCKS))
    close = (30 * np.exp(np.cumsum(moves, axis=0)))[frame.day, frame.stock]
    opened = close * np.exp(rng.normal(0, 0.01, len(frame)))
    high = np.maximum(opened, close) * np.exp(rng.exponential(0.005, len(frame)))
    low = np.minimum(opened, close) * np.exp(-rng.exponential(0.005, len(frame)))
    locked = rng.random(len(frame)) < 0.08
    volume = np.exp(rng.normal(10, 1, len(frame))).round() * (rng.random(len(frame)) > 0.02)
    return frame.assign(
        open=opened, high=np.where(locked, close, high), low=np.where(locked, close, low), close=close, volume=volume
    )


def own_features() -> pd.DataFrame:
    """Features, statements, weekly figures and targets of a user's own, without a price."""
    rng = np.random.default_rng(6)
    frame = cells(rng)
    for name in [f"f{k:02d}" for k in range(14)] + ["stmt_profit", "stmt_sales", "margin_buy"]:
        values = rng.standard_t(4, len(frame))
        frame[name] = np.where(rng.random(len(frame)) < 0.05, np.nan, values)
    returns = rng.normal(0, 0.02, len(frame))
    return frame.assign(
        returns_1d=returns, target_1d=rng.normal(0, 0.02, len(frame)), target_5d=rng.normal(0, 0.05, len(frame))
    )


COMMON = DataConfig(
    horizons=(1, 5),
    window=5,
    min_stocks=3,
    splits=SplitConfig(holdout_days=0),
    inspection=ANYTHING,
    universe=UniverseConfig(sections=("Prime",)),
)
KINDS = {
    "ohlcv": Kind(
        prices,
        COMMON.model_copy(
            update={"universe": UniverseConfig(sections=("Prime",), min_turnover=4e5, turnover_window=20)}
        ),
        (*PRICES, "volume"),
    ),
    "own": Kind(
        own_features,
        COMMON.model_copy(
            update={
                "inspection": ANYTHING.model_copy(update={"allow_leaks": tuple(f"f{k:02d}" for k in range(14))}),
                "columns": ColumnsConfig(
                    groups={
                        "statements": ColumnGroup(columns=("stmt_*",), publication_lag=7),
                        "weekly": ColumnGroup(columns=("margin_buy", "f13"), publication_lag=2),
                    }
                ),
            }
        ),
        (*(f"f{k:02d}" for k in range(14)), "stmt_profit", "stmt_sales", "margin_buy"),
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def written(frame: pd.DataFrame, folder: Path, seed: int = 0) -> Path:
    """The rows in no order, in a file of several row groups."""
    folder.mkdir(parents=True, exist_ok=True)
    shuffled = frame.drop(columns=["day", "stock"]).sample(frac=1, random_state=seed)
    shuffled.to_parquet(folder / "panel.parquet", row_group_size=700, index=False)
    return folder / "panel.parquet"


def by_day(frame: pd.DataFrame, folder: Path) -> Path:
    """The rows in the order of their dates, so that earlier row groups stay when days are appended."""
    folder.mkdir(parents=True, exist_ok=True)
    ordered = frame.sort_values(["day", "code"]).drop(columns=["day", "stock"])
    ordered.to_parquet(folder / "panel.parquet", row_group_size=160, index=False)
    return folder / "panel.parquet"


def store_of(frame: pd.DataFrame, kind: str, folder: Path) -> MarketStore:
    return prepare(written(frame, folder / "panel"), folder / "prepared", KINDS[kind].config)


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, MarketStore]:
    """The store of the whole panel of each kind."""
    return {name: store_of(kind.table(), name, tmp_path_factory.mktemp(name)) for name, kind in KINDS.items()}


def assert_same_past(whole: MarketStore, other: MarketStore, last: int, config: DataConfig) -> None:
    """All that the two stores say of the days up to `last` is equal, bit for bit."""
    days = slice(0, last + 1)
    np.testing.assert_array_equal(other.dates[days], whole.dates[days])
    codes, mine, theirs = np.intersect1d(whole.codes, other.codes, return_indices=True)
    for store in (whole, other):
        assert not store.present[days][:, ~np.isin(store.codes, codes)].any(), "a stock of the past is lost"
    assert other.meta.features == whole.meta.features
    assert other.meta.first_known == whole.meta.first_known
    for name in ("features", "present", "eligible", "returns", "volatility"):
        np.testing.assert_array_equal(
            getattr(other, name)[days][:, theirs], getattr(whole, name)[days][:, mine], err_msg=name
        )
    np.testing.assert_array_equal(sectors(other)[days][:, theirs], sectors(whole)[days][:, mine])
    for k, horizon in enumerate(config.horizons):
        known = slice(0, max(0, last + 1 - config.delay - horizon))
        np.testing.assert_array_equal(other.labels[known, theirs, k], whole.labels[known, mine, k], err_msg="labels")
    for stop in (FIRST_CUT, last + 1):
        scalers = [RobustScaler.fit(store.features[:stop], config.clip).to_dict() for store in (whole, other)]
        assert scalers[0] == scalers[1]
    for graph in GRAPHS:
        assert_same_graphs(whole, other, last, graph)


def sectors(store: MarketStore) -> np.ndarray:
    """[D, N] names: the numbers of a vocabulary may differ, what they stand for may not."""
    return np.array(["", *store.meta.vocabularies["sector"]])[store.sector]


def assert_same_graphs(whole: MarketStore, other: MarketStore, last: int, config: GraphConfig) -> None:
    mine, theirs = whole.graphs(config), other.graphs(config)
    assert mine is not None
    assert theirs is not None
    assert mine.first_day == theirs.first_day
    for day in range(mine.first_day, last + 1):
        (index, attr), (other_index, other_attr) = mine.at(day), theirs.at(day)
        np.testing.assert_array_equal(other.codes[other_index], whole.codes[index], err_msg=f"edges of day {day}")
        np.testing.assert_array_equal(other_attr, attr, err_msg=f"attributes of day {day}")


def test_the_markets_of_these_tests_have_all_that_could_leak(wholes: dict[str, MarketStore]) -> None:
    for store in wholes.values():
        listed = np.argmax(store.present, axis=0)
        assert (listed > FIRST_CUT).sum() == 3  # days 100, 130 and 150
        assert store.eligible.sum() < store.present.sum()
        assert (store.sector[0] != store.sector[-1]).any()
        assert np.isfinite(store.labels[FIRST_CUT:]).any()
    assert wholes["ohlcv"].meta.num_untradable > 0
    assert wholes["own"].meta.lags == {"": 0, "statements": 7, "weekly": 2}


@every_kind
@REPEATABLE
@given(last=LAST_DAYS)
def test_cutting_the_panel_after_a_day_changes_nothing_up_to_it(
    kind: str, last: int, wholes: dict[str, MarketStore], tmp_path_factory: pytest.TempPathFactory
) -> None:
    frame = KINDS[kind].table()
    cut = store_of(frame[frame.day <= last], kind, tmp_path_factory.mktemp("cut"))
    assert cut.num_days == last + 1
    assert_same_past(wholes[kind], cut, last, KINDS[kind].config)


@every_kind
@REPEATABLE
@given(last=LAST_DAYS, seed=st.integers(0, 99))
def test_poisoned_values_after_a_day_change_nothing_up_to_it(
    kind: str, last: int, seed: int, wholes: dict[str, MarketStore], tmp_path_factory: pytest.TempPathFactory
) -> None:
    frame, rng = KINDS[kind].table(), np.random.default_rng(seed)
    later = (frame.day > last).to_numpy()
    moves = np.exp(rng.normal(0, 1, len(frame)))
    for name in KINDS[kind].values:
        factor = moves if name in PRICES else np.exp(rng.normal(0, 1, len(frame)))
        frame[name] = np.where(later, frame[name] * factor, frame[name])
    for name in ("sector", "section"):
        frame.loc[later, name] = rng.permutation(frame.loc[later, name].to_numpy())
    frame.loc[later & (rng.random(len(frame)) < 0.2), "sector"] = "Another"
    poisoned = frame[~later | (rng.random(len(frame)) < 0.9)]  # and some rows are gone
    newcomer = poisoned[later[poisoned.index] & (poisoned.stock == 0)].assign(code="1AAA")
    store = store_of(pd.concat([poisoned, newcomer]), kind, tmp_path_factory.mktemp("poisoned"))
    assert "1AAA" in store.codes
    assert not np.array_equal(store.features[last + 1 :, 0], wholes[kind].features[last + 1 :, 0], equal_nan=True)
    assert_same_past(wholes[kind], store, last, KINDS[kind].config)


@every_kind
@REPEATABLE
@given(last=LAST_DAYS)
def test_a_hold_out_is_as_if_the_panel_ended_before_it(
    kind: str, last: int, wholes: dict[str, MarketStore], tmp_path_factory: pytest.TempPathFactory
) -> None:
    frame, config, folder = KINDS[kind].table(), KINDS[kind].config, tmp_path_factory.mktemp("held")
    held = config.model_copy(update={"splits": SplitConfig(holdout_days=NUM_DAYS - last - 1)})
    store = prepare(written(frame, folder), folder / "prepared", held)
    assert store.num_days == last + 1
    before = frame[frame.day <= last]
    assert store.codes.tolist() == sorted(before.code.unique())
    assert store.meta.vocabularies["sector"] == sorted(before.sector.unique())
    assert_same_past(wholes[kind], store, last, config)


@every_kind
def test_no_label_of_a_store_looks_beyond_its_last_day(kind: str, tmp_path: Path) -> None:
    config = KINDS[kind].config.model_copy(update={"splits": SplitConfig(holdout_days=30)})
    store = prepare(written(KINDS[kind].table(), tmp_path), tmp_path / "prepared", config)
    for k, horizon in enumerate(config.horizons):
        first_unknown = store.num_days - config.delay - horizon
        assert np.isfinite(store.labels[first_unknown - 1, :, k]).any()
        assert np.isnan(store.labels[first_unknown:, :, k]).all()


@every_kind
@REPEATABLE
@given(last=LAST_DAYS)
def test_days_appended_to_a_prepared_panel_give_the_store_of_the_whole(
    kind: str, last: int, wholes: dict[str, MarketStore], tmp_path_factory: pytest.TempPathFactory
) -> None:
    frame, folder, config = KINDS[kind].table(), tmp_path_factory.mktemp("grown"), KINDS[kind].config
    before = prepare(by_day(frame[frame.day <= last], folder / "before"), folder / "prepared", config)
    for graph in GRAPHS:
        before.graphs(graph)
    grown = prepare(by_day(frame, folder / "after"), folder / "prepared", config)
    np.testing.assert_array_equal(grown.labels, wholes[kind].labels)
    assert_same_past(wholes[kind], grown, NUM_DAYS - 1, config)


@every_kind
@pytest.mark.parametrize("delay", [0, 1])
def test_the_memory_that_a_preparation_may_use_changes_no_bit(kind: str, delay: int, tmp_path: Path) -> None:
    config = KINDS[kind].config.model_copy(update={"delay": delay})
    panel = written(KINDS[kind].table(), tmp_path)
    large = prepare(panel, tmp_path / "large", config)
    small = prepare(panel, tmp_path / "small", config, memory_mib=1)
    np.testing.assert_array_equal(small.labels, large.labels)
    assert small.meta.num_untradable == large.meta.num_untradable
    assert_same_past(large, small, NUM_DAYS - 1, config)


@pytest.mark.parametrize(("name", "lag"), [("f00", 0), ("f13", 2), ("stmt_sales", 7)])
def test_a_late_publication_is_read_after_its_lag_in_trading_days(
    name: str, lag: int, wholes: dict[str, MarketStore]
) -> None:
    table, store = KINDS["own"].table().pivot(index="day", columns="code", values=name), wholes["own"]
    expected = np.where(store.present, table.shift(lag).to_numpy(), np.nan).astype(np.float32)
    np.testing.assert_array_equal(store.features[..., store.meta.features.index(name)], expected)
