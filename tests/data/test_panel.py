"""Reading a panel: every honest layout gives the same arrays, every corrupt one is refused with its reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data.errors import DataError
from data.panel import PRICES, REQUIRED, Panel, count_days, panel_key, read_panel
from tests.data.helpers import assert_same_panel, long_table, with_column, with_value, write

Encode = Callable[[pa.Table], pa.Table]


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """10 stocks x 60 days."""
    return long_table()


@pytest.fixture(scope="module")
def panel(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """The table as it is read from one plain, sorted file."""
    return read_panel(write(table, tmp_path_factory.mktemp("plain") / "panel.parquet"))


def refusal(table: pa.Table, folder: Path, **options: object) -> str:
    """What `read_panel` says when it refuses the table."""
    path = write(table, folder / "refused.parquet", **options)
    with pytest.raises(DataError) as caught:
        read_panel(path)
    return str(caught.value)


# --- what is accepted, and what it becomes


def test_every_row_of_the_table_lies_at_its_day_and_stock(table: pa.Table, panel: Panel) -> None:
    rows = table.to_pylist()
    day = {str(date): position for position, date in enumerate(panel.dates)}
    stock = {code: position for position, code in enumerate(panel.codes)}
    for row in rows:
        d, n = day[str(row["date"])], stock[row["code"]]
        assert [panel.prices[name][d, n] for name in PRICES] == [row[name] for name in PRICES]
        assert (panel.sector[n], panel.industry[n]) == (row["sector"], row["industry"])
    assert panel.observed.sum() == len(rows)


def test_axes_are_ascending_and_complete(table: pa.Table, panel: Panel) -> None:
    assert (np.diff(panel.dates).astype(int) > 0).all()
    assert panel.codes.tolist() == sorted(set(table["code"].to_pylist()))
    assert len(panel.dates) == 60


def test_a_row_that_is_not_there_is_missing_in_every_price(table: pa.Table, panel: Panel) -> None:
    assert len(table) < panel.observed.size
    for name in PRICES:
        assert np.isnan(panel.prices[name][~panel.observed]).all()


def test_a_shuffled_panel_reads_like_a_sorted_one(table: pa.Table, panel: Panel, tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(len(table))
    assert_same_panel(read_panel(write(table.take(order), tmp_path / "shuffled.parquet")), panel)


@pytest.mark.parametrize("row_group_size", [7, 100])
def test_row_groups_do_not_matter(table: pa.Table, panel: Panel, tmp_path: Path, row_group_size: int) -> None:
    path = write(table, tmp_path / "grouped.parquet", row_group_size=row_group_size)
    assert_same_panel(read_panel(path), panel)


def test_a_folder_of_files_reads_like_one_file(table: pa.Table, panel: Panel, tmp_path: Path) -> None:
    for part, start in enumerate(range(0, len(table), 150)):
        write(table.slice(start, 150), tmp_path / f"year={part % 2}" / f"part-{part}.parquet")
    assert_same_panel(read_panel(tmp_path), panel)


def test_files_of_a_folder_may_differ_in_encoding(table: pa.Table, panel: Panel, tmp_path: Path) -> None:
    write(table.slice(0, 300), tmp_path / "a.parquet")
    later = table.slice(300)
    later = with_column(later, "code", later["code"].dictionary_encode())
    write(with_column(later, "close", later["close"].cast(pa.float64())), tmp_path / "b.parquet")
    assert_same_panel(read_panel(tmp_path), panel)


ENCODINGS: dict[str, Encode] = {
    "dictionary codes": lambda t: with_column(t, "code", t["code"].dictionary_encode()),
    "large string codes": lambda t: with_column(t, "code", t["code"].cast(pa.large_string())),
    "dictionary sectors": lambda t: with_column(t, "sector", t["sector"].dictionary_encode()),
    "dictionary industries": lambda t: with_column(t, "industry", t["industry"].dictionary_encode()),
    "ISO days": lambda t: with_column(t, "date", [str(day) for day in t["date"].to_numpy()]),
    "dictionary ISO days": lambda t: with_column(
        t, "date", pa.array([str(day) for day in t["date"].to_numpy()]).dictionary_encode()
    ),
    "timestamps in ns": lambda t: with_column(t, "date", t["date"].cast(pa.timestamp("ns"))),
    "timestamps in us": lambda t: with_column(t, "date", t["date"].cast(pa.timestamp("us"))),
    "date64": lambda t: with_column(t, "date", t["date"].cast(pa.date64())),
    "double prices": lambda t: with_column(t, "close", t["close"].cast(pa.float64())),
    "a column nobody asked for": lambda t: t.append_column("note", t["code"]),
    "columns in another order": lambda t: t.select(list(reversed(t.schema.names))),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_the_encoding_of_a_column_does_not_matter(
    table: pa.Table, panel: Panel, tmp_path: Path, encode: Encode
) -> None:
    assert_same_panel(read_panel(write(encode(table), tmp_path / "encoded.parquet")), panel)


def test_integer_codes_become_strings(table: pa.Table, panel: Panel, tmp_path: Path) -> None:
    numbers = [int(code[1:]) + 1301 for code in table["code"].to_pylist()]
    read = read_panel(write(with_column(table, "code", numbers), tmp_path / "numbered.parquet"))
    assert read.codes.tolist() == [str(1301 + n) for n in range(10)]
    np.testing.assert_array_equal(read.prices["close"], panel.prices["close"])


def test_industry_is_optional(table: pa.Table, panel: Panel, tmp_path: Path) -> None:
    read = read_panel(write(table.drop_columns(["industry"]), tmp_path / "plain.parquet"))
    assert set(read.industry) == {""}
    np.testing.assert_array_equal(read.sector, panel.sector)


def test_a_null_price_is_missing_and_only_a_close_makes_a_stock_observed(table: pa.Table, tmp_path: Path) -> None:
    spoiled = with_value(with_value(table, "close", 3, None), "open", 5, None)
    read = read_panel(write(spoiled, tmp_path / "nulls.parquet"))
    assert read.observed.sum() == len(table) - 1
    assert np.isfinite(read.prices["open"]).sum() == len(table) - 1


def test_until_keeps_the_first_days_alone(panel: Panel) -> None:
    cut = panel.until(17)
    np.testing.assert_array_equal(cut.dates, panel.dates[:17])
    for name in PRICES:
        np.testing.assert_array_equal(cut.prices[name], panel.prices[name][:17])
    np.testing.assert_array_equal(cut.codes, panel.codes)


# --- what cannot be read


def test_a_missing_path_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must exist.*nowhere\.parquet"):
        read_panel(tmp_path / "nowhere.parquet")


def test_a_folder_without_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("date,code\n")
    with pytest.raises(DataError, match=r"\*\.parquet files, but .* holds none"):
        read_panel(tmp_path)


@pytest.mark.parametrize("content", [b"", b"date,code,close\n2020-01-01,A,1\n" * 50], ids=["no bytes", "text"])
def test_a_file_that_is_not_parquet_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"must be readable Parquet, but .*text\.parquet"):
        read_panel(path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_truncated_file_is_refused(table: pa.Table, tmp_path: Path, share: float) -> None:
    path = write(table, tmp_path / "whole.parquet")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"must be readable Parquet, but .*whole\.parquet"):
        read_panel(path)


def test_a_file_with_damaged_pages_is_refused(table: pa.Table, tmp_path: Path) -> None:
    path = write(table, tmp_path / "damaged.parquet")
    content = bytearray(path.read_bytes())
    third = len(content) // 3
    content[third : 2 * third] = bytes(third)
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"readable to its end, but .*damaged\.parquet is damaged"):
        read_panel(path)


# --- columns


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_column_is_named(table: pa.Table, tmp_path: Path, name: str) -> None:
    assert f"lacks {name};" in refusal(table.drop_columns([name]), tmp_path)


def test_all_missing_columns_are_named_at_once(table: pa.Table, tmp_path: Path) -> None:
    message = refusal(table.drop_columns(["close", "sector"]), tmp_path)
    assert "lacks close, sector; it has date, code, open, high, low, volume, industry" in message


@pytest.mark.parametrize("name", ["volume", "close", "sector"])
def test_a_column_missing_in_one_file_of_a_folder_is_refused(table: pa.Table, tmp_path: Path, name: str) -> None:
    write(table.slice(0, 300), tmp_path / "a.parquet")
    write(table.slice(300).drop_columns([name]), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=rf"lacks {name}"):
        read_panel(tmp_path)


def test_doubled_columns_are_refused_by_name(table: pa.Table, tmp_path: Path) -> None:
    message = refusal(table.append_column("close", table["close"]), tmp_path)
    assert "column names must be unique" in message
    assert "close" in message


# --- keys


def test_a_duplicate_within_a_batch_is_refused_by_date_and_code(table: pa.Table, tmp_path: Path) -> None:
    message = refusal(pa.concat_tables([table, table.slice(33, 1)]), tmp_path)
    date, code = table["date"][33], table["code"][33]
    assert f"(date, code) must be unique, but 1 rows repeat one; first: {date} {code}" in message


@pytest.mark.parametrize("row_group_size", [1 << 20, 1000], ids=["across batches", "across row groups"])
def test_a_duplicate_far_away_is_refused(tmp_path: Path, row_group_size: int) -> None:
    table = long_table(num_stocks=60, num_days=1200)
    assert len(table) > 1 << 16
    message = refusal(pa.concat_tables([table, table.slice(5, 1)]), tmp_path, row_group_size=row_group_size)
    assert f"first: {table['date'][5]} {table['code'][5]}" in message


def test_a_duplicate_in_another_file_is_refused(table: pa.Table, tmp_path: Path) -> None:
    write(table.slice(0, 301), tmp_path / "a.parquet")
    write(table.slice(300), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=rf"1 rows repeat one; first: {table['date'][300]} {table['code'][300]}"):
        read_panel(tmp_path)


@pytest.mark.parametrize("name", ["date", "code"])
def test_a_null_key_is_refused(table: pa.Table, tmp_path: Path, name: str) -> None:
    message = refusal(with_value(table, name, 9, None), tmp_path)
    assert f"{name} must never be null" in message
    assert "1 null" in message


def test_a_day_that_is_no_date_is_refused_and_shown(table: pa.Table, tmp_path: Path) -> None:
    days = [str(day) for day in table["date"].to_numpy()]
    message = refusal(with_column(table, "date", [*days[:-1], "not a day"]), tmp_path)
    assert "ISO days (2020-01-31)" in message
    assert "holds 'not a day'" in message


@pytest.mark.parametrize("kind", [pa.int32(), pa.int64(), pa.float64()], ids=str)
def test_days_written_as_numbers_are_refused(table: pa.Table, tmp_path: Path, kind: pa.DataType) -> None:
    numbers = [int(str(day).replace("-", "")) for day in table["date"].to_numpy()]
    message = refusal(with_column(table, "date", pa.array(numbers).cast(kind)), tmp_path)
    assert "dates must be Parquet dates, timestamps without a time zone or ISO days" in message


def test_codes_that_are_lists_are_refused(table: pa.Table, tmp_path: Path) -> None:
    assert "code" in refusal(with_column(table, "code", [[code] for code in table["code"].to_pylist()]), tmp_path)


# --- values


@pytest.mark.parametrize("name", PRICES)
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_value_is_refused(table: pa.Table, tmp_path: Path, name: str, value: float) -> None:
    assert f"{name} must be finite or missing" in refusal(with_value(table, name, 4, value), tmp_path)


@pytest.mark.parametrize("name", ["open", "high", "low", "close"])
@pytest.mark.parametrize("value", [0.0, -1.5])
def test_a_price_that_is_not_positive_is_refused_by_date_and_code(
    table: pa.Table, tmp_path: Path, name: str, value: float
) -> None:
    message = refusal(with_value(table, name, 41, value), tmp_path)
    assert f"{name} must be positive (a missing value is null), but 1 rows break it" in message
    assert f"{table['date'][41]} {table['code'][41]} = {value}" in message


def test_a_negative_volume_is_refused(table: pa.Table, tmp_path: Path) -> None:
    assert "volume" in refusal(with_value(table, "volume", 41, -5.0), tmp_path)


def test_a_volume_of_zero_is_accepted(table: pa.Table, tmp_path: Path) -> None:
    read = read_panel(write(with_value(table, "volume", 41, 0.0), tmp_path / "quiet.parquet"))
    assert (read.prices["volume"] == 0).sum() == 1


@pytest.mark.parametrize("kind", [pa.float32(), pa.null()], ids=str)
@pytest.mark.parametrize("name", PRICES)
def test_a_column_without_any_value_is_refused(table: pa.Table, tmp_path: Path, name: str, kind: pa.DataType) -> None:
    message = refusal(with_column(table, name, pa.nulls(len(table), kind)), tmp_path)
    assert f"{name} must hold values" in message


def test_an_absurd_return_is_refused(table: pa.Table, tmp_path: Path) -> None:
    close = table["close"].to_pylist()
    message = refusal(with_value(table, "close", 300, 1e6 * close[300]), tmp_path)
    assert str(table["code"][300]) in message


def test_a_panel_without_rows_is_refused(table: pa.Table, tmp_path: Path) -> None:
    assert "must hold rows" in refusal(table.slice(0, 0), tmp_path)


@pytest.mark.parametrize("values", ["abc", [1.0]], ids=["words", "lists"])
def test_a_close_that_is_no_number_is_refused(table: pa.Table, tmp_path: Path, values: object) -> None:
    assert "close must be a number" in refusal(with_column(table, "close", [values] * len(table)), tmp_path)


# --- keys and counts


def test_equal_bytes_have_an_equal_key(table: pa.Table, tmp_path: Path) -> None:
    a, b = write(table, tmp_path / "a" / "panel.parquet"), write(table, tmp_path / "b" / "panel.parquet")
    assert a.read_bytes() == b.read_bytes()
    assert panel_key(a) == panel_key(b)


def test_the_key_is_of_the_bytes_and_not_of_the_file_name(table: pa.Table, tmp_path: Path) -> None:
    a, b = write(table, tmp_path / "mine.parquet"), write(table, tmp_path / "yours.parquet")
    assert panel_key(a) == panel_key(b)


def test_one_changed_byte_changes_the_key(table: pa.Table, tmp_path: Path) -> None:
    path = write(table, tmp_path / "panel.parquet")
    before, content = panel_key(path), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    assert panel_key(path) != before


def test_the_key_of_a_folder_covers_every_file(table: pa.Table, tmp_path: Path) -> None:
    write(table.slice(0, 300), tmp_path / "a.parquet")
    before = panel_key(tmp_path)
    write(table.slice(300), tmp_path / "b.parquet")
    assert panel_key(tmp_path) != before


def test_count_days_agrees_with_the_whole_panel(table: pa.Table, panel: Panel, tmp_path: Path) -> None:
    assert count_days(write(table, tmp_path / "panel.parquet")) == len(panel.dates)


def test_count_days_refuses_what_has_no_dates(table: pa.Table, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must hold rows"):
        count_days(write(table.slice(0, 0), tmp_path / "empty.parquet"))


def test_dates_in_a_time_zone_are_refused(table: pa.Table, tmp_path: Path) -> None:
    zoned = table["date"].cast(pa.timestamp("s")).cast(pa.timestamp("s", tz="Asia/Tokyo"))
    assert "in zone Asia/Tokyo" in refusal(with_column(table, "date", zoned), tmp_path)


def test_listed_drops_the_stocks_without_a_row(panel: Panel) -> None:
    early = panel.until(3)
    early.prices["close"][:, 2] = np.nan
    kept = early.listed()
    assert kept.codes.tolist() == [code for i, code in enumerate(panel.codes) if early.observed[:, i].any()]
    assert panel.codes[2] not in kept.codes
    assert kept.prices["open"].shape == kept.observed.shape
