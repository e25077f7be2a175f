"""The universe: who may be ranked on a day, by what was known on that day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data.config import UniverseConfig
from data.errors import DataError
from data.prepare import prepare
from data.store import MarketStore
from data.universe import PIECE, check_universe, eligible, trailing_median
from tests.data.test_prepare import CONFIG, changed, market_frame, pivot, save

MOVE = pd.Timestamp("2020-01-20")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """1310 moves from Prime to Standard, 1320 the other way; 1330 is a fund, 1340 of no known section."""
    frame = market_frame()
    late = frame["Date"] >= MOVE
    prime = np.where(frame["Code"] == "1310", ~late, np.where(frame["Code"] == "1320", late, True))
    frame["Section"] = np.where(prime, "Prime", "Standard")
    frame.loc[frame["Code"] == "1340", "Section"] = None
    frame["SecurityType"] = np.where(frame["Code"] == "1330", "fund", "common")
    return frame


def prepared(frame: pd.DataFrame, tmp_path: Path, **universe: Any) -> MarketStore:
    return prepare(save(frame, tmp_path / "p.parquet"), tmp_path / "s", changed(CONFIG, universe=universe))


def admitted(store: MarketStore, code: str) -> np.ndarray:
    """[D] bool: eligible on the days on which the stock has a row."""
    stock = store.meta.codes.index(code)
    return np.asarray(store.eligible)[:, stock][np.asarray(store.present)[:, stock]]


def test_without_a_filter_every_row_is_in_the_universe(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = prepared(frame, tmp_path)
    np.testing.assert_array_equal(store.eligible, store.present)


def test_a_section_is_that_of_the_day(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = prepared(frame, tmp_path, sections=("Prime",))
    section = frame.pivot(index="Date", columns="Code", values="Section").reindex(pd.to_datetime(store.dates))
    np.testing.assert_array_equal(store.eligible, (section == "Prime").to_numpy())
    assert admitted(store, "1300").all()
    assert not admitted(store, "1340").any()
    for code in ("1310", "1320"):
        assert 0 < admitted(store, code).mean() < 1


def test_a_later_move_changes_no_earlier_day(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = prepared(frame, tmp_path / "a", sections=("Prime",))
    moved = frame.copy()
    moved.loc[(moved["Date"] >= pd.Timestamp("2020-02-03")) & (moved["Code"] == "1350"), "Section"] = "Standard"
    other = prepared(moved, tmp_path / "b", sections=("Prime",))
    first = int(np.searchsorted(store.dates, np.datetime64("2020-02-03")))
    np.testing.assert_array_equal(other.eligible[:first], store.eligible[:first])
    assert not np.array_equal(other.eligible, store.eligible)


def test_several_sections_and_types_are_admitted_together(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = prepared(frame, tmp_path, sections=("Standard", "Prime"), security_types=("common",))
    for code in store.meta.codes:
        assert admitted(store, code).all() == (code not in ("1330", "1340"))


def test_a_stock_outside_the_universe_keeps_its_values(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = prepared(frame, tmp_path, security_types=("common",))
    stock = store.meta.codes.index("1330")
    assert np.isfinite(store.returns[:, stock]).mean() > 0.8
    np.testing.assert_array_equal(store.features[:, stock, 0], pivot(frame, store, "f0")[:, stock].astype(np.float32))


def test_turnover_is_the_trailing_median_of_close_times_volume(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = prepared(frame, tmp_path, min_turnover=500_000.0, turnover_window=10)
    wide = pd.DataFrame(pivot(frame, store, "close") * pivot(frame, store, "volume"))
    wanted = (wide.rolling(10, min_periods=5).median() >= 500_000).to_numpy() & np.asarray(store.present)
    np.testing.assert_array_equal(store.eligible, wanted)
    assert 0.1 < wanted.mean() < 0.9


def test_a_turnover_column_goes_before_close_times_volume(frame: pd.DataFrame, tmp_path: Path) -> None:
    traded = frame.assign(TurnoverValue=np.where(frame["Code"] == "1310", 5.0, 50.0))
    store = prepared(traded, tmp_path, min_turnover=10.0, turnover_window=5)
    assert not admitted(store, "1310").any()
    assert admitted(store, "1300")[6:].all()


# --- the trailing median


@pytest.mark.parametrize("days", [6, 10, 60])
@pytest.mark.parametrize("known", [0.2, 0.5, 0.9, 1.0])
def test_the_trailing_median_is_numpys_where_half_of_the_values_are_known(days: int, known: float) -> None:
    rng = np.random.default_rng(days)
    values = np.where(rng.random((90, 5)) < known, rng.normal(size=(90, 5)), np.nan)
    np.testing.assert_allclose(trailing_median(values, days), numpys_median(values, days), rtol=1e-12)


def test_two_of_five_values_are_less_than_half() -> None:
    values = np.random.default_rng(0).normal(size=(30, 3))
    np.testing.assert_allclose(trailing_median(values, 5), numpys_median(values, 5), rtol=1e-12)


def numpys_median(values: np.ndarray, days: int) -> np.ndarray:
    wanted = np.full(values.shape, np.nan)
    for day in range(len(values)):
        window = values[max(0, day - days + 1) : day + 1]
        enough = np.isfinite(window).sum(axis=0) >= days / 2
        wanted[day, enough] = np.nanmedian(window[:, enough], axis=0)
    return wanted


def test_more_stocks_than_a_piece_are_all_there() -> None:
    values = np.random.default_rng(0).normal(size=(12, 2 * PIECE + 3))
    np.testing.assert_allclose(trailing_median(values, 5)[11], np.median(values[7:], axis=0))


def test_the_trailing_median_reads_no_later_value() -> None:
    values = np.random.default_rng(0).normal(size=(40, 3))
    later = values.copy()
    later[25:] = 99
    np.testing.assert_array_equal(trailing_median(later, 10)[:25], trailing_median(values, 10)[:25])


def test_values_that_occur_nowhere_admit_nobody() -> None:
    labels = {"section": np.array([[1, 2, 0]])}
    config = UniverseConfig(sections=("C",))
    assert not eligible(np.ones((1, 3), bool), labels, {"section": ("A", "B")}, None, config).any()


def test_the_mask_of_rows_is_not_changed() -> None:
    present = np.ones((1, 3), bool)
    eligible(
        present, {"section": np.array([[1, 2, 0]])}, {"section": ("A", "B")}, None, UniverseConfig(sections=("A",))
    )
    assert present.all()


# --- refusals

REFUSED: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "no section column": (
        {"sections": ("Prime",)},
        ["Section"],
        "universe.sections needs a column .* says the section",
    ),
    "no type column": (
        {"security_types": ("common",)},
        ["SecurityType"],
        r"universe.security_types needs a column .* the security type, but the panel has none. Name it in data.columns",
    ),
    "unknown section": (
        {"sections": ("Prime", "Growth")},
        [],
        "universe.sections must name values of the panel, but Growth never occurs; there are Prime, Standard",
    ),
    "unknown type": ({"security_types": ("bond",)}, [], "but bond never occurs; there are common, fund"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_filter_that_the_panel_cannot_answer_is_refused(frame: pd.DataFrame, tmp_path: Path, name: str) -> None:
    universe, without, message = REFUSED[name]
    with pytest.raises(DataError, match=message):
        prepared(frame.drop(columns=without), tmp_path, **universe)
    assert not (tmp_path / "s").exists()


def test_turnover_without_prices_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"universe\.min_turnover needs close and volume, or turnover"):
        prepared(frame.drop(columns="volume"), tmp_path, min_turnover=1.0)


def test_a_section_that_only_the_hold_out_knows_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    late = frame["Date"] >= sorted(frame["Date"].unique())[-6]
    with pytest.raises(DataError, match="but Growth never occurs"):
        prepared(frame.assign(Section=frame["Section"].where(~late, "Growth")), tmp_path, sections=("Growth",))


def test_a_filter_that_leaves_too_few_stocks_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a usual day must have at least 3 stocks of the universe"):
        prepared(frame, tmp_path, security_types=("fund",))


def test_a_filter_without_settings_needs_no_column() -> None:
    check_universe(UniverseConfig(), {}, has_turnover=False)
