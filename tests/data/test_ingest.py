"""Ingest: every stored value reaches its cell, from any layout and type; faulty rows are counted, with an example."""

from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from data.axes import read_axes
from data.errors import DataError
from data.ingest import MAX_LABELS, RowFaults
from data.prepare import fill, make_plan, prepare
from data.progress import Silent
from data.store import MarketStore
from tests.data.test_prepare import CONFIG, changed, feature, market_frame, pivot, save


@pytest.fixture
def frame() -> pd.DataFrame:
    return market_frame()


def prepared(frame: pd.DataFrame, tmp_path: Path, **update: Any) -> MarketStore:
    return prepare(save(frame, tmp_path / "p.parquet"), tmp_path / "s", changed(CONFIG, **update))


def faults_of(frame: pd.DataFrame, tmp_path: Path, budget: int = 1 << 26) -> RowFaults:
    """What one reading of the whole panel notes, hold-out included."""
    plan = make_plan(save(frame, tmp_path / "p.parquet"), CONFIG)
    (tmp_path / "s").mkdir()
    axes = read_axes(plan.source, plan.columns, plan.config)
    return fill(plan, axes, None, tmp_path / "s", Silent(), budget, plan.num_built_in)


def label_values(store: MarketStore, role: str) -> np.ndarray:
    """[D, N] the text of each code, "" where unknown."""
    return np.array(["", *store.meta.vocabularies[role]])[np.load(store.folder / f"{role}.npy")]


# --- layouts


def by_date(frame: pd.DataFrame, folder: Path) -> Path:
    table = pa.Table.from_pandas(frame.assign(Date=frame["Date"].dt.date), preserve_index=False)
    keys = ds.partitioning(pa.schema([("Date", pa.date32())]), flavor="hive")
    ds.write_dataset(table, folder, format="parquet", partitioning=keys)
    return folder


def file_per_code(frame: pd.DataFrame, folder: Path) -> Path:
    for code, rows in frame.groupby("Code"):
        save(rows.drop(columns="Code"), folder / f"{code}.parquet")
    return folder


def file_per_date(frame: pd.DataFrame, folder: Path) -> Path:
    for date, rows in frame.groupby("Date"):
        path = folder / f"{date:%Y-%m-%d}.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pandas(rows.drop(columns="Date"), preserve_index=False), path)
    return folder


def nested_files(frame: pd.DataFrame, folder: Path) -> Path:
    for month, rows in frame.groupby(frame["Date"].dt.month):
        save(rows, folder / "2020" / f"month-{month}.parquet")
    return folder


@pytest.mark.parametrize("layout", [by_date, file_per_code, file_per_date, nested_files])
def test_every_layout_makes_the_same_arrays(frame: pd.DataFrame, tmp_path: Path, layout: Any) -> None:
    one, other = prepared(frame, tmp_path), prepare(layout(frame, tmp_path / "tree"), tmp_path / "t", CONFIG)
    assert other.meta.codes == one.meta.codes
    assert other.meta.dates == one.meta.dates
    for name in ("features", "labels", "present", "returns", "sector", "bars"):
        mine, others = ((store.folder / f"{name}.npy").read_bytes() for store in (one, other))
        assert mine == others, name


# --- types


def test_dates_may_be_days_timestamps_or_text(frame: pd.DataFrame, tmp_path: Path) -> None:
    stores = [
        prepared(frame.assign(Date=dates), tmp_path / kind)
        for kind, dates in {
            "timestamp": frame["Date"],
            "day": frame["Date"].dt.date,
            "text": frame["Date"].dt.strftime("%Y-%m-%d"),
        }.items()
    ]
    assert len({store.meta.panel_key for store in stores}) == 3
    for store in stores[1:]:
        assert store.meta.dates == stores[0].meta.dates
        np.testing.assert_array_equal(store.features, stores[0].features)


def test_codes_may_be_whole_numbers(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = prepared(frame.assign(Code=frame["Code"].astype(int)), tmp_path)
    assert store.meta.codes == sorted(frame["Code"].unique())


def test_codes_with_letters_sort_as_text(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = prepared(frame.replace({"Code": {"1330": "130A"}}), tmp_path)
    assert store.meta.codes[:3] == ["1300", "130A", "1310"]


def test_features_may_be_whole_numbers_booleans_and_decimals(frame: pd.DataFrame, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cents = rng.integers(-999, 999, len(frame))
    wider = frame.assign(
        whole=rng.integers(0, 9, len(frame)),
        truth=rng.random(len(frame)) < 0.5,
        exact=[decimal.Decimal(int(value)) / 100 for value in cents],
    )
    store = prepared(wider, tmp_path)
    for name in ("whole", "truth"):
        np.testing.assert_array_equal(feature(store, name), pivot(wider.astype({name: float}), store, name))
    exact = pivot(wider.assign(exact=cents / 100), store, "exact")
    np.testing.assert_allclose(feature(store, "exact"), exact, rtol=1e-6)


@pytest.mark.parametrize("column", ["Code", "sector33_code"])
def test_texts_may_be_dictionaries(frame: pd.DataFrame, tmp_path: Path, column: str) -> None:
    plain, encoded = prepared(frame, tmp_path / "a"), prepared(frame.astype({column: "category"}), tmp_path / "b")
    assert encoded.meta.codes == plain.meta.codes
    np.testing.assert_array_equal(encoded.features, plain.features)
    np.testing.assert_array_equal(label_values(encoded, "sector"), label_values(plain, "sector"))


def test_a_column_that_a_file_lacks_is_missing_there(frame: pd.DataFrame, tmp_path: Path) -> None:
    early = frame["Date"] < pd.Timestamp("2020-01-20")
    save(frame[early].drop(columns="f1"), tmp_path / "p" / "1.parquet")
    save(frame[~early], tmp_path / "p" / "2.parquet")
    store = prepare(tmp_path / "p", tmp_path / "s", CONFIG)
    first = int(np.searchsorted(store.dates, np.datetime64("2020-01-20")))
    wanted = pivot(frame, store, "f1").astype(np.float32)
    wanted[:first] = np.nan
    np.testing.assert_array_equal(feature(store, "f1"), wanted)
    np.testing.assert_array_equal(feature(store, "f0"), pivot(frame, store, "f0").astype(np.float32))


def test_a_column_that_is_empty_in_the_first_file_is_not_lost(frame: pd.DataFrame, tmp_path: Path) -> None:
    """A writer of one file per date stores a column without a value as nulls of no type."""
    early = frame["Date"] < pd.Timestamp("2020-01-08")
    save(frame[early].assign(f1=None), tmp_path / "p" / "1.parquet")
    save(frame[~early], tmp_path / "p" / "2.parquet")
    store = prepare(tmp_path / "p", tmp_path / "s", CONFIG)
    assert store.meta.features == ["f0", "f1", "late_eps"]


def test_files_may_store_a_column_as_different_numbers(frame: pd.DataFrame, tmp_path: Path) -> None:
    whole = frame.assign(f1=np.arange(len(frame)) % 7)
    early = frame["Date"] < pd.Timestamp("2020-01-20")
    save(whole[early], tmp_path / "p" / "1.parquet")
    save(whole[~early].astype({"f1": float}), tmp_path / "p" / "2.parquet")
    store = prepare(tmp_path / "p", tmp_path / "s", CONFIG)
    np.testing.assert_array_equal(feature(store, "f1"), pivot(whole, store, "f1"))


def test_text_among_the_numbers_of_a_later_file_is_refused_by_name(frame: pd.DataFrame, tmp_path: Path) -> None:
    early = frame["Date"] < pd.Timestamp("2020-01-20")
    save(frame[early], tmp_path / "p" / "1.parquet")
    save(frame[~early].assign(f1="high"), tmp_path / "p" / "2.parquet")
    with pytest.raises(DataError, match=r"must be numbers, but f1 of .* holds .*string"):
        prepare(tmp_path / "p", tmp_path / "s", CONFIG)


def test_a_price_column_of_text_is_refused_by_name(frame: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must be numbers, but volume of .* holds .*string"):
        prepared(frame.assign(volume="many"), tmp_path)


# --- labels


def test_sectors_may_change_by_date_and_be_unknown(frame: pd.DataFrame, tmp_path: Path) -> None:
    moved = frame.copy()
    late = moved["Date"] >= pd.Timestamp("2020-01-20")
    moved.loc[late & (moved["Code"] == "1320"), "sector33_code"] = "99"
    moved.loc[moved["Code"] == "1330", "sector33_code"] = None
    store = prepared(moved, tmp_path)
    wide = moved.pivot(index="Date", columns="Code", values="sector33_code").reindex(pd.to_datetime(store.dates))
    np.testing.assert_array_equal(label_values(store, "sector"), wide.fillna("").to_numpy(dtype=str))
    assert store.meta.vocabularies["sector"] == ["50", "60", "70", "99"]


def test_whole_number_sectors_with_gaps_keep_their_names(frame: pd.DataFrame, tmp_path: Path) -> None:
    """Such a column turns into floating point on its way through pandas."""
    sector = frame["sector33_code"].astype(float).where(frame["Code"] != "1330")
    assert prepared(frame.assign(sector33_code=sector), tmp_path).meta.vocabularies["sector"] == ["50", "60", "70"]


def test_more_labels_than_a_code_can_count_are_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    number = np.arange(MAX_LABELS + 1)
    days = pd.bdate_range("2020-01-06", periods=40)
    many = frame.iloc[np.zeros(len(number), int)].reset_index(drop=True)
    many = many.assign(sector33_code=number.astype(str), Code=(number // 40).astype(str), Date=days[number % 40])
    with pytest.raises(DataError, match=r"sector must have fewer than 32767 distinct values, but sector33_code has"):
        prepared(many, tmp_path, splits={"holdout_days": 0})


# --- faults of single rows


def test_clean_rows_have_no_faults(frame: pd.DataFrame, tmp_path: Path) -> None:
    assert faults_of(frame, tmp_path) == RowFaults()


@pytest.mark.parametrize("place", ["beside", "far away", "in the hold-out"])
def test_duplicates_are_counted_and_the_first_is_named(frame: pd.DataFrame, tmp_path: Path, place: str) -> None:
    row = len(frame) - 3 if place == "in the hold-out" else 40
    again = frame.iloc[[row]]
    parts = [frame.iloc[: row + 1], again, frame.iloc[row + 1 :]] if place == "beside" else [frame, again]
    spoilt = pd.concat([*parts, again])
    pq.write_table(pa.Table.from_pandas(spoilt, preserve_index=False), tmp_path / "p.parquet", row_group_size=50)
    with pytest.raises(DataError, match="must be unique") as refusal:
        prepare(tmp_path / "p.parquet", tmp_path / "s", CONFIG)
    where = f"{frame['Date'][row].date()} {frame['Code'][row]}"
    assert f"Date, Code: 2 rows (first: {where})" in str(refusal.value)


@pytest.mark.parametrize("column", ["f0", "late_eps", "close", "volume"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_values_are_counted_and_the_first_is_named(
    frame: pd.DataFrame, tmp_path: Path, column: str, value: float
) -> None:
    rows = [20, 90, len(frame) - 1]
    spoilt = frame.copy()
    spoilt.loc[rows, column] = value
    faults = faults_of(spoilt, tmp_path)
    assert faults.infinite == {column: 3}
    assert faults.first_infinite == {column: f"{frame['Date'][20].date()} {frame['Code'][20]}"}
    assert faults.duplicates == 0


def test_a_value_too_large_for_a_feature_counts_as_infinite(frame: pd.DataFrame, tmp_path: Path) -> None:
    spoilt = frame.copy()
    spoilt.loc[20, "f0"] = 1e39
    assert faults_of(spoilt, tmp_path).infinite == {"f0": 1}


def test_rows_that_are_read_are_told(frame: pd.DataFrame, tmp_path: Path) -> None:
    told: list[int] = []

    class Counting(Silent):
        def rows(self, title: str, total: int) -> Any:
            told.append(total)
            return super().rows(title, total)

    prepare(save(frame, tmp_path / "p.parquet"), tmp_path / "s", CONFIG, Counting())
    assert told == [len(frame)]


def test_dates_of_the_panel_alone_make_the_calendar(frame: pd.DataFrame, tmp_path: Path) -> None:
    without = frame[frame["Date"] != pd.Timestamp("2020-01-15")]
    assert str(dt.date(2020, 1, 15)) not in prepared(without, tmp_path).meta.dates


def test_a_named_calendar_keeps_sessions_without_a_row(frame: pd.DataFrame, tmp_path: Path) -> None:
    sessions = frame[~frame["Date"].isin(pd.to_datetime(["2020-01-13", "2020-02-11", "2020-02-24"]))]  # closed in Tokyo
    without = sessions[sessions["Date"] != pd.Timestamp("2020-01-15")]
    store = prepared(without, tmp_path, calendar="XTKS")
    day = store.meta.dates.index("2020-01-15")
    assert not store.present[day].any()
    assert np.isnan(store.features[day]).all()
    assert np.isnan(store.returns[day : day + 2]).all()
