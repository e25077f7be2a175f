"""Axes: days, stocks and labels from the keys alone, a hold-out cut off, exchange calendars, bad keys refused."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.axes import Axes, num_kept_days, read_axes
from data.columns import settle_columns
from data.config import DataConfig, SplitConfig
from data.errors import DataError
from data.source import Source

PRICES = ("open", "high", "low", "close", "volume")
DAYS = [f"2018-01-{day:02d}" for day in range(1, 11)]
Row = tuple[object, object, object]  # date, code, sector


def panel(folder: Path, *files: list[Row], types: tuple[pa.DataType | None, ...] = (None, None, None)) -> Path:
    """A panel of rows (date, code, sector) whose prices are all 1, a Parquet file per list."""
    for number, rows in enumerate(files):
        columns = [pa.array(list(values), kind) for values, kind in zip(zip(*rows, strict=True), types, strict=True)]
        keys = dict(zip(("Date", "Code", "sector"), columns, strict=True))
        pq.write_table(pa.table(keys | {name: np.ones(len(rows)) for name in PRICES}), folder / f"{number}.parquet")
    return folder


def axes(path: Path, **config: Any) -> Axes:
    settings = DataConfig.model_validate({"splits": {"holdout_days": 0}} | config)
    source = Source.open(path)
    return read_axes(source, settle_columns(source, settings), settings)


def refusal(path: Path, **config: Any) -> str:
    """What is said, without the path, whose digits and words would match by chance."""
    with pytest.raises(DataError) as caught:
        axes(path, **config)
    return str(caught.value).replace(str(path), "PANEL")


def on_days(days: list[str], code: str = "7203", sector: str = "s") -> list[Row]:
    return [(day, code, sector) for day in days]


LISTING: list[Row] = [  # 7203 all days in sector a, then b; 130A lists on the 9th, in a sector of its own; 1301 ends
    *on_days(DAYS[:7], "7203", "a"),
    *on_days(DAYS[7:], "7203", "b"),
    *on_days(DAYS[8:], "130A", "c"),
    *on_days(DAYS[:3], "1301", "a"),
]


def strings(values: np.ndarray) -> list[str]:
    return [str(value) for value in values]


# --- what is read


def test_days_codes_and_labels_are_ascending_and_complete(tmp_path: Path) -> None:
    found = axes(panel(tmp_path, LISTING))
    assert strings(found.dates) == strings(found.all_dates) == DAYS
    assert found.codes.tolist() == found.all_codes.tolist() == ["1301", "130A", "7203"]
    assert found.labels == {"sector": ("a", "b", "c")}
    assert found.holdout_from is None
    assert found.kept_stock.tolist() == [0, 1, 2]


def test_order_files_and_row_groups_do_not_matter(tmp_path: Path) -> None:
    plain, other = tmp_path / "plain", tmp_path / "other"
    plain.mkdir()
    other.mkdir()
    expected = axes(panel(plain, LISTING))
    mixed = [LISTING[k] for k in np.random.default_rng(0).permutation(len(LISTING))]
    found = axes(panel(other, mixed[:5], mixed[5:6], mixed[6:]))
    np.testing.assert_array_equal(found.dates, expected.dates)
    np.testing.assert_array_equal(found.codes, expected.codes)
    assert found.labels == expected.labels


def test_a_time_of_day_does_not_matter(tmp_path: Path) -> None:
    times: list[Row] = [(dt.datetime(2018, 1, day, hour), "7203", "s") for day, hour in ((1, 0), (2, 15), (3, 23))]
    assert strings(axes(panel(tmp_path, times)).dates) == DAYS[:3]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_days_may_be_written_without_hyphens(tmp_path: Path, kind: pa.DataType) -> None:
    mixed = [day.replace("-", "") if number % 3 else day for number, day in enumerate(DAYS)]
    assert strings(axes(panel(tmp_path, on_days(mixed), types=(kind, None, None))).dates) == DAYS


def test_days_without_a_row_group_stretch_are_spanned_by_each_group(tmp_path: Path) -> None:
    found = axes(panel(tmp_path, on_days([DAYS[4], DAYS[1], DAYS[2]]), on_days([DAYS[9]])))
    assert [strings(span) for span in found.group_days] == [[DAYS[1], DAYS[4]], [DAYS[9], DAYS[9]]]


@pytest.mark.parametrize("codes", [[7203, 1301], [True, False], ["7203", "130A"]])
def test_codes_become_text(tmp_path: Path, codes: list[object]) -> None:
    found = axes(panel(tmp_path, [(DAYS[0], code, 50) for code in codes]))
    assert set(found.codes.tolist()) == {str(code).lower() if isinstance(code, bool) else str(code) for code in codes}
    assert found.labels == {"sector": ("50",)}


def test_an_unknown_label_is_no_value_of_the_vocabulary(tmp_path: Path) -> None:
    rows: list[Row] = [(DAYS[0], "7203", None), (DAYS[0], "1301", ""), (DAYS[0], "130A", "a")]
    assert axes(panel(tmp_path, rows, types=(None, None, pa.string()))).labels == {"sector": ("a",)}


# --- the hold-out


@pytest.mark.parametrize(
    "splits",
    [
        {"holdout_days": 2},
        {"holdout_from": "2018-01-09"},
        {"holdout_from": "2018-01-09", "holdout_days": 7},
    ],
)
def test_the_hold_outs_days_stocks_and_labels_are_cut_off(tmp_path: Path, splits: dict[str, Any]) -> None:
    found = axes(panel(tmp_path, LISTING), splits=splits)
    assert strings(found.dates) == DAYS[:8]
    assert found.codes.tolist() == ["1301", "7203"]
    assert found.labels == {"sector": ("a", "b")}
    assert found.holdout_from == "2018-01-09"
    assert strings(found.all_dates) == DAYS
    assert found.all_codes.tolist() == ["1301", "130A", "7203"]
    assert found.kept_stock.tolist() == [0, -1, 1]


def test_a_label_that_first_occurs_in_the_hold_out_is_cut_off(tmp_path: Path) -> None:
    assert axes(panel(tmp_path, LISTING), splits={"holdout_days": 3}).labels == {"sector": ("a",)}


@pytest.mark.parametrize("order", [1, -1])
def test_what_occurs_before_and_within_the_hold_out_stays(tmp_path: Path, order: int) -> None:
    found = axes(panel(tmp_path, *[on_days(DAYS[:5]), on_days(DAYS[7:])][::order]), splits={"holdout_days": 3})
    assert (found.codes.tolist(), found.labels) == (["7203"], {"sector": ("s",)})


def test_a_pinned_day_that_is_no_trading_day_is_the_next_one(tmp_path: Path) -> None:
    found = axes(panel(tmp_path, on_days([DAYS[0], DAYS[1], DAYS[7]])), splits={"holdout_from": "2018-01-05"})
    assert found.holdout_from == "2018-01-08"


@pytest.mark.parametrize(
    ("pinned", "kept"), [("2017-01-01", 0), ("2018-01-01", 0), ("2018-01-10", 9), ("2019-01-01", 10)]
)
def test_a_pinned_day_may_lie_outside_the_panel(pinned: str, kept: int) -> None:
    dates = np.array(DAYS, dtype="datetime64[D]")
    assert num_kept_days(dates, SplitConfig.model_validate({"holdout_from": pinned})) == kept


def test_a_hold_out_longer_than_the_panel_leaves_nothing(tmp_path: Path) -> None:
    found = axes(panel(tmp_path, LISTING), splits={"holdout_days": 11})
    assert (len(found.dates), len(found.codes)) == (0, 0)


def test_the_panels_dates_are_those_with_the_hold_out(tmp_path: Path) -> None:
    assert strings(axes(panel(tmp_path, LISTING)).all_dates) == DAYS


# --- calendars


def test_the_panels_own_dates_may_be_any_days(tmp_path: Path) -> None:
    assert strings(axes(panel(tmp_path, on_days(["2018-01-06", "2018-01-07"]))).dates) == ["2018-01-06", "2018-01-07"]


@pytest.mark.parametrize(
    ("calendar", "sessions"),
    [
        ("XNYS", ["04", "05", "08", "09", "10", "11", "12", "16"]),  # the 15th: Martin Luther King's day
        ("XTKS", ["04", "05", "09", "10", "11", "12", "15", "16"]),  # the 8th: coming of age
    ],
)
def test_an_exchanges_sessions_are_days_even_without_a_row(tmp_path: Path, calendar: str, sessions: list[str]) -> None:
    found = axes(panel(tmp_path, on_days(["2018-01-04", "2018-01-16"])), calendar=calendar)
    assert strings(found.dates) == [f"2018-01-{day}" for day in sessions]


def test_the_hold_out_is_counted_in_sessions(tmp_path: Path) -> None:
    path = panel(tmp_path, on_days(["2018-01-04", "2018-01-16"]))
    assert axes(path, calendar="XTKS", splits={"holdout_days": 3}).holdout_from == "2018-01-12"


@pytest.mark.parametrize(
    ("calendar", "days", "first"),
    [("XNYS", ["2018-01-12", "2018-01-15", "2018-01-20"], "2018-01-15"), ("XTKS", DAYS, "2018-01-01")],
)
def test_rows_on_days_that_are_no_session_are_refused(
    tmp_path: Path, calendar: str, days: list[str], first: str
) -> None:
    said = refusal(panel(tmp_path, on_days(days)), calendar=calendar)
    count = 2 if calendar == "XNYS" else 6  # three days of New Year, a weekend, coming of age
    assert f"sessions of {calendar}, but {count} days of the panel are none; first: {first}" in said
    assert "set calendar to panel" in said


def test_an_unknown_calendar_is_refused_with_where_to_find_the_known_ones(tmp_path: Path) -> None:
    said = refusal(panel(tmp_path, LISTING), calendar="TSE1")
    assert "got 'TSE1'" in said
    assert "get_calendar_names" in said


def test_a_calendar_that_begins_after_the_panel_is_refused(tmp_path: Path) -> None:
    said = refusal(panel(tmp_path, on_days(["1950-01-04", "1950-01-05"])), calendar="XTKS")
    assert "calendar XTKS must cover the panel's dates" in said


# --- keys that are none


def without(place: int, numbers: tuple[int, ...]) -> list[Row]:
    """Ten rows, some of which lack a key."""
    rows = [list(row) for row in on_days(DAYS)]
    for number in numbers:
        rows[number][place] = None
    return [(day, code, sector) for day, code, sector in rows]


def zoned(folder: Path) -> Path:
    rows: list[Row] = [(dt.datetime(2018, 1, day), "7203", "s") for day in range(1, 5)]
    return panel(folder, rows, types=(pa.timestamp("us", "Asia/Tokyo"), None, None))


@pytest.mark.parametrize("place", [0, 1])
def test_a_null_key_is_refused_with_its_column(tmp_path: Path, place: int) -> None:
    said = refusal(panel(tmp_path, without(place, (2,))))
    assert f"{('date', 'code')[place]} must never be null" in said
    assert ("Date", "Code")[place] in said
    assert "Remove them" in said


@pytest.mark.parametrize("place", [0, 1])
def test_null_keys_are_counted(tmp_path: Path, place: int) -> None:
    said = refusal(panel(tmp_path, without(place, (2, 5, 6))))
    assert re.search(r"\b3\b", said), said


def test_a_key_that_the_paths_leave_unknown_is_null(tmp_path: Path) -> None:
    for code in ("7203", "__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / f"ticker={code}").mkdir()
        table = pq.read_table(panel(tmp_path / f"ticker={code}", on_days(DAYS)) / "0.parquet").drop(["Code"])
        pq.write_table(table, tmp_path / f"ticker={code}" / "0.parquet")
    assert "must never be null" in refusal(tmp_path)


NO_DAYS = [
    *("soon", "2018-13-01", "2018-02-30", "20211345", "20180230", "2018010", "201801040", "2018-0104"),
    *("2018W011", "04/01/2018", "2018-01-04 9:00", ""),
]


@pytest.mark.parametrize("wrong", NO_DAYS)
@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int32(), pa.string())])
def test_text_that_is_no_iso_day_is_refused_with_the_first_example(
    tmp_path: Path, wrong: str, kind: pa.DataType
) -> None:
    said = refusal(panel(tmp_path, on_days([*DAYS, wrong]), types=(kind, None, None)))
    assert repr(wrong) in said
    assert DAYS[0] not in said
    assert "ISO days (2020-01-31, 20200131)" in said
    assert "Correct or remove such rows." in said


def test_days_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    said = refusal(panel(tmp_path, on_days([*DAYS, "soon", "later", "soon"])))
    assert re.search(r"\b3\b", said), said


def test_dates_in_a_time_zone_are_refused_with_the_zone(tmp_path: Path) -> None:
    said = refusal(zoned(tmp_path))
    assert "zone Asia/Tokyo" in said
    assert "Store the exchange's own day." in said


@pytest.mark.parametrize(("date", "kind"), [(20180101, "int64"), (17532.0, "double"), (True, "bool")])
def test_a_number_is_no_date(tmp_path: Path, date: object, kind: str) -> None:
    said = refusal(panel(tmp_path, [(date, "7203", "s")]))
    assert all(part in said for part in (kind, repr(date), "Convert the column."))


@pytest.mark.parametrize("day", ["soon", 20180101])
def test_the_column_of_bad_dates_is_named(tmp_path: Path, day: object) -> None:
    assert "Date" in refusal(panel(tmp_path, [(day, "7203", "s")]))


def test_the_column_of_zoned_dates_is_named(tmp_path: Path) -> None:
    assert "Date" in refusal(zoned(tmp_path))


@pytest.mark.parametrize("place", [1, 2])
def test_a_list_is_no_text(tmp_path: Path, place: int) -> None:
    rows = [tuple([1] if k == place else value for k, value in enumerate(row)) for row in on_days(DAYS)]
    said = refusal(panel(tmp_path, rows))  # type: ignore[arg-type]
    assert f"must be text, but PANEL holds list<element: int64> in {('Date', 'Code', 'sector')[place]}" in said


def test_a_panel_without_rows_is_refused(tmp_path: Path) -> None:
    keys = {"date": pa.array([], pa.date32()), "code": pa.array([], pa.string())}
    pq.write_table(pa.table(keys | {name: pa.array([], pa.float64()) for name in PRICES}), tmp_path / "0.parquet")
    assert "must hold rows, but PANEL is empty" in refusal(tmp_path)


def test_damage_in_a_key_column_is_refused_by_file(tmp_path: Path) -> None:
    file = panel(tmp_path, LISTING) / "0.parquet"
    chunk = pq.read_metadata(file).row_group(0).column(0)
    content, start = bytearray(file.read_bytes()), chunk.dictionary_page_offset or chunk.data_page_offset
    content[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    file.write_bytes(content)
    said = refusal(tmp_path)
    assert "0.parquet is damaged" in said
    assert "Write the file again." in said
