"""Sources: every layout of files is one panel, digests change with bytes alone, damage is a message."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from data.config import DataConfig, NoGraphConfig, SplitConfig
from data.errors import DataError
from data.prepare import prepare
from data.source import FILE_NAME, Source
from data.store import ARRAYS, MarketStore
from data.synthetic import SyntheticConfig, generate

NUM_DAYS = 100
CONFIG = DataConfig(
    horizons=(1, 5),
    window=5,
    splits=SplitConfig(search_days=8, confirm_days=4, confirm_folds=1, holdout_days=6),
    graph=NoGraphConfig(),
)
Layout = Callable[[pa.Table, Path], object]


def market() -> pa.Table:
    """12 stocks with codes such as 7203 and 130A."""
    table = generate(SyntheticConfig(num_stocks=12, num_days=NUM_DAYS, missing_share=0.02, seed=5))
    return with_column(
        table, "code", codes(table, lambda number: f"{130 + number}A" if number % 3 else str(7200 + number))
    )


def codes(table: pa.Table, name: Callable[[int], object]) -> pa.Array:
    return pa.array([name(int(code.lstrip("S"))) for code in table["code"].to_pylist()])


def with_column(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, name, values) if place >= 0 else table.append_column(name, values)


def write(table: pa.Table, path: Path, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    return path


def by(column: str, name: str, keep: bool = False) -> Layout:
    """One file per value of the column, at a path that names it."""

    def layout(table: pa.Table, root: Path) -> None:
        for value in pc.unique(table[column]):
            part = table.filter(pc.equal(table[column], value))
            write(part if keep else part.drop([column]), root / name.format(value.as_py()))

    return layout


def one_file(table: pa.Table, root: Path) -> None:
    write(table, root / "panel.parquet")


def small_row_groups(table: pa.Table, root: Path) -> None:
    write(table, root / "panel.pq", row_group_size=70)


def shuffled(table: pa.Table, root: Path) -> None:
    write(table.take(np.random.default_rng(0).permutation(len(table))), root / "panel.parq", row_group_size=100)


def a_folder_of_files_that_differ(table: pa.Table, root: Path) -> None:
    """Other types, encodings, column orders and compressions in each file."""
    parts = [table.slice(start, 300) for start in range(0, len(table), 300)]
    parts[0] = with_column(parts[0], "date", parts[0]["date"].cast(pa.string()))
    parts[1] = with_column(parts[1], "code", parts[1]["code"].dictionary_encode())
    parts[2] = with_column(parts[2], "date", parts[2]["date"].cast(pa.timestamp("ns"))).select(table.column_names[::-1])
    parts[3] = with_column(parts[3], "close", parts[3]["close"].cast(pa.float64()))
    for number, part in enumerate(parts):
        compression = ("none", "snappy", "zstd", "gzip")[number % 4]
        write(part, root / f"year={number % 2}" / f"{number}.parquet", compression=compression)


LAYOUTS: dict[str, Layout] = {
    "one file": one_file,
    "small row groups": small_row_groups,
    "shuffled": shuffled,
    "files that differ": a_folder_of_files_that_differ,
    "hive by date": by("date", "date={}/part-0.parquet"),
    "hive by date without hyphens": by("date", "date={:%Y%m%d}/part-0.parquet"),
    "hive by code": by("code", "code={}/part-0.parquet"),
    "hive by code that is stored too": by("code", "code={}/part-0.parquet", keep=True),
    "a file per code": by("code", "{}.parquet"),
    "a file per date": by("date", "{}.parquet"),
    "a file per date without hyphens": by("date", "{:%Y%m%d}.parquet"),
    "a folder per code": by("code", "{}.parquet/part-0.parquet", keep=True),
}


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return market()


@pytest.fixture(scope="module")
def plain(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> MarketStore:
    """The store of the table as one sorted file."""
    folder = tmp_path_factory.mktemp("plain")
    return prepare(write(table, folder / "panel.parquet"), folder / "prepared", CONFIG)


def assert_same(store: MarketStore, other: MarketStore) -> None:
    assert (store.meta.dates, store.meta.codes) == (other.meta.dates, other.meta.codes)
    assert store.meta.vocabularies == other.meta.vocabularies
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(store, name), getattr(other, name), err_msg=name)


# --- layouts


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_every_layout_becomes_the_same_store(
    table: pa.Table, plain: MarketStore, tmp_path: Path, layout: Layout
) -> None:
    layout(table, tmp_path / "panel")
    assert_same(prepare(tmp_path / "panel", tmp_path / "prepared", CONFIG), plain)


def test_the_store_has_the_rows_of_the_table(table: pa.Table, plain: MarketStore) -> None:
    rows = {(str(row["date"]), row["code"]) for row in table.to_pylist()}
    kept = {(date, code) for date, code in rows if date <= plain.meta.dates[-1]}
    day, stock = np.nonzero(plain.present)
    assert set(zip(np.array(plain.meta.dates)[day], plain.codes[stock], strict=True)) == kept
    assert len(plain.meta.dates) == NUM_DAYS - 6
    assert {"7200", "131A"} <= set(plain.meta.codes)


def integers(table: pa.Table) -> pa.Table:
    return with_column(table, "sector", pa.array([int(name[-1]) for name in table["sector"].to_pylist()]))


def dictionaries(table: pa.Table) -> pa.Table:
    for name in ("code", "sector", "industry"):
        table = with_column(table, name, table[name].dictionary_encode())
    return with_column(table, "date", table["date"].cast(pa.string()).dictionary_encode())


def doubles(table: pa.Table) -> pa.Table:
    for name in ("open", "high", "low", "close", "volume"):
        table = with_column(table, name, table[name].cast(pa.float64()))
    return table


@pytest.mark.parametrize("kind", [pa.timestamp("ns"), pa.timestamp("s"), pa.date64(), pa.string(), pa.large_string()])
def test_every_type_of_day_is_the_same_day(
    table: pa.Table, plain: MarketStore, tmp_path: Path, kind: pa.DataType
) -> None:
    path = write(with_column(table, "date", table["date"].cast(kind)), tmp_path / "panel.parquet")
    assert_same(prepare(path, tmp_path / "prepared", CONFIG), plain)


def days_without_hyphens(table: pa.Table) -> pa.Table:
    return with_column(table, "date", pc.strftime(table["date"], "%Y%m%d"))


@pytest.mark.parametrize("encode", [dictionaries, doubles, days_without_hyphens])
def test_encodings_of_the_same_values_do_not_matter(
    table: pa.Table, plain: MarketStore, tmp_path: Path, encode: Callable[[pa.Table], pa.Table]
) -> None:
    assert_same(prepare(write(encode(table), tmp_path / "panel.parquet"), tmp_path / "prepared", CONFIG), plain)


def test_integer_codes_and_sectors_are_text_in_the_store(table: pa.Table, plain: MarketStore, tmp_path: Path) -> None:
    numbered = generate(SyntheticConfig(num_stocks=12, num_days=NUM_DAYS, missing_share=0.02, seed=5))
    numbered = integers(with_column(numbered, "code", codes(numbered, lambda number: 7200 + number)))
    store = prepare(write(numbered, tmp_path / "panel.parquet"), tmp_path / "prepared", CONFIG)
    assert store.meta.codes == [str(7200 + number) for number in range(12)]
    assert store.meta.vocabularies["sector"] == [name[-1] for name in plain.meta.vocabularies["sector"]]
    assert store.present.sum() == plain.present.sum()


def test_the_users_schema_becomes_a_store_of_its_values(tmp_path: Path) -> None:
    base = generate(SyntheticConfig(num_stocks=12, num_days=NUM_DAYS, missing_share=0, delisting_rate=0))
    rng, rows = np.random.default_rng(3), len(base)
    values = {
        name: rng.normal(0, 0.02, rows)
        for name in ("target_1d", "target_5d", "returns_1d", *map("f{}".format, range(8)))
    }
    flag, cents = rng.random(rows) < 0.5, rng.integers(0, 100, rows)
    users = pa.table(
        {
            "Date": base["date"].cast(pa.timestamp("ns")),
            "Code": codes(base, lambda number: f"{130 + number}A"),
            "sector17_code": codes(base, lambda number: number % 4),
            "sector33_code": codes(base, lambda number: number % 8),
            **values,
            "is_margin": flag,
            "lots": pa.array([decimal.Decimal(int(cent)) / 100 for cent in cents], pa.decimal128(9, 2)),
        }
    )
    store = prepare(write(users, tmp_path / "panel.parquet"), tmp_path / "prepared", CONFIG)
    assert store.meta.features == ["returns_1d", *map("f{}".format, range(8)), "is_margin", "lots"]
    shape = (NUM_DAYS, 12)
    for name, expected in {**values, "is_margin": flag.astype(float), "lots": cents / 100}.items():
        if name in store.meta.features:
            found = store.features[..., store.meta.features.index(name)]
            np.testing.assert_allclose(found, expected.reshape(shape)[: store.num_days], rtol=1e-6, err_msg=name)
    labels = np.stack([values["target_1d"].reshape(shape), values["target_5d"].reshape(shape)], axis=2)
    for k, horizon in enumerate((1, 5)):
        labels[store.num_days - 1 - horizon :, :, k] = np.nan  # they would tell of the hold-out
    np.testing.assert_allclose(store.labels, labels[: store.num_days], rtol=1e-6)


# --- what a source knows without reading


def test_a_source_counts_rows_and_row_groups_and_passes_over_empty_ones(table: pa.Table, tmp_path: Path) -> None:
    write(table.slice(0, 250), tmp_path / "a.parquet", row_group_size=100)
    write(table.slice(0, 0), tmp_path / "b.parquet")
    write(table.slice(250, 30), tmp_path / "c.parquet")
    source = Source.open(tmp_path)
    assert source.num_rows == 280
    assert source.row_groups == [(0, 0, 100), (0, 1, 100), (0, 2, 50), (2, 0, 30)]


def test_the_schema_joins_stored_columns_keys_of_the_path_and_the_files_name(tmp_path: Path) -> None:
    write(pa.table({"x": [1], "y": [1.0]}), tmp_path / "market=TSE" / "a.parquet")
    write(pa.table({"x": [1.5], "z": ["t"]}), tmp_path / "market=NYSE" / "b.parquet")
    schema = Source.open(tmp_path).schema
    assert set(schema) == {"x", "y", "z", "market", FILE_NAME}
    assert (schema["y"], schema["z"], schema["market"]) == (pa.float64(), pa.string(), pa.string())
    assert list(schema)[-1] == FILE_NAME


@pytest.mark.parametrize("name", ["date=20211345/part-0.parquet", "20211345.parquet"])
def test_a_path_that_names_no_day_is_refused_with_its_example(table: pa.Table, tmp_path: Path, name: str) -> None:
    by("date", name.replace("20211345", "{:%Y%m%d}"))(table.slice(0, 60), tmp_path / "panel")
    write(table.slice(60, 12).drop(["date"]), tmp_path / "panel" / name)
    with pytest.raises(DataError, match=r"ISO days \(2020-01-31, 20200131\), but .* such as '20211345'"):
        prepare(tmp_path / "panel", tmp_path / "prepared", CONFIG)


def test_a_single_file_has_no_name_column(tmp_path: Path) -> None:
    assert list(Source.open(write(pa.table({"x": [1]}), tmp_path / "a.parquet")).schema) == ["x"]


def test_files_without_a_column_are_counted(tmp_path: Path) -> None:
    write(pa.table({"x": [1]}), tmp_path / "k=1" / "a.parquet")
    write(pa.table({"y": [1]}), tmp_path / "b.parquet")
    source = Source.open(tmp_path)
    assert [source.lacking(name) for name in ("x", "k", "none", FILE_NAME)] == [1, 1, 2, 0]


def test_hidden_files_and_other_suffixes_are_no_part_of_the_panel(tmp_path: Path) -> None:
    for name in ("a.parquet", ".b.parquet", "_metadata.parquet", "_tmp/c.parquet", "notes.txt", "sub/d.pq"):
        write(pa.table({"x": [1]}), tmp_path / name)
    assert [file.name for file in Source.open(tmp_path).files] == ["a.parquet", "d.pq"]


# --- reading


def test_batches_have_the_columns_in_the_order_asked_with_nulls_and_keys_of_the_path(tmp_path: Path) -> None:
    write(pa.table({"x": [1, 2], "y": [0.5, 1.5]}), tmp_path / "k=BRK%2FB" / "a.parquet")
    write(pa.table({"x": [3]}), tmp_path / "k=130A" / "b.parquet")
    found = [batch.to_pylist() for _, batch in Source.open(tmp_path).batches(["y", "k", "x", FILE_NAME], 100)]
    assert found == [
        [{"y": None, "k": "130A", "x": 3, FILE_NAME: "b"}],
        [{"y": y, "k": "BRK/B", "x": x, FILE_NAME: "a"} for y, x in ((0.5, 1), (1.5, 2))],
    ]


def test_batches_are_no_larger_than_asked_and_stay_within_their_row_group(table: pa.Table, tmp_path: Path) -> None:
    source = Source.open(write(table.slice(0, 250), tmp_path / "a.parquet", row_group_size=100))
    sizes = [(group.number, batch.num_rows) for group, batch in source.batches(["close"], 60)]
    assert sizes == [(0, 60), (0, 40), (1, 60), (1, 40), (2, 50)]


def test_only_the_row_groups_asked_are_read(table: pa.Table, tmp_path: Path) -> None:
    source = Source.open(write(table.slice(0, 250), tmp_path / "a.parquet", row_group_size=100))
    read = pa.Table.from_batches([batch for _, batch in source.batches(["close"], 1000, source.row_groups[1:])])
    assert read["close"].to_pylist() == table["close"].slice(100, 150).to_pylist()


def test_a_reader_that_stops_early_does_not_hang(table: pa.Table, tmp_path: Path) -> None:
    source = Source.open(write(table, tmp_path / "a.parquet", row_group_size=20))
    batches = source.batches(["close"], 10)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert next(batches, None) is None


# --- digests


def digests(table: pa.Table, path: Path, columns: list[str], **options: object) -> np.ndarray:
    return Source.open(write(table, path, **options)).digests(columns)


def test_equal_bytes_have_equal_digests_whatever_the_files_name(table: pa.Table, tmp_path: Path) -> None:
    names = ["date", "close"]
    a, b = (digests(table, tmp_path / name, names, row_group_size=400) for name in ("a.parquet", "b.parquet"))
    assert a.shape == (len(table) // 400 + 1, 2)
    assert (a != 0).all()
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["close", "open.1d", "ret %", "売上"])
def test_a_changed_value_changes_the_digest_of_its_column_and_row_group_alone(
    table: pa.Table, tmp_path: Path, name: str
) -> None:
    values = np.arange(len(table), dtype=float)
    changed = np.where(values == 450, -1, values)
    a, b = (
        digests(with_column(table, name, pa.array(v)), tmp_path / f"{k}.parquet", ["date", name], row_group_size=400)
        for k, v in enumerate((values, changed))
    )
    assert np.argwhere(a != b).tolist() == [[1, 1]]


def test_every_part_of_a_nested_column_counts(tmp_path: Path) -> None:
    a, b = (
        digests(pa.table({"s": [{"x": 1, "y": y}]}), tmp_path / f"{y}.parquet", ["s"], use_dictionary=False)
        for y in (1, 2)
    )
    assert a != b


def test_the_path_has_a_digest_where_it_is_asked_for(tmp_path: Path) -> None:
    for key in ("a", "b"):
        write(pa.table({"x": [1]}), tmp_path / f"k={key}" / f"{key}.parquet")
    found = Source.open(tmp_path).digests(["x", "k", FILE_NAME])
    assert found[0, 0] == found[1, 0]
    assert (found[0, 1:] != found[1, 1:]).all()


def test_a_column_that_a_file_lacks_has_no_digest(tmp_path: Path) -> None:
    assert digests(pa.table({"x": [1]}), tmp_path / "a.parquet", ["none"]).tolist() == [[0]]


# --- refusals


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        Source.open(path)
    return str(caught.value)


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path / "panle.parquet")
    assert "panle.parquet. Check the path." in said


def test_a_folder_without_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "panel.csv").write_text("date,code\n")
    assert f"{tmp_path} holds none. Give the folder" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"date,code\n2020-01-31,7203\n", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_file_that_is_no_parquet_is_refused_by_name(table: pa.Table, tmp_path: Path, content: bytes) -> None:
    write(table, tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(content)
    said = refusal(tmp_path)
    assert "b.parquet is not" in said
    assert "Write it again." in said


def test_a_truncated_file_is_refused(table: pa.Table, tmp_path: Path) -> None:
    path = write(table, tmp_path / "a.parquet")
    path.write_bytes(path.read_bytes()[:-100])
    assert "a.parquet is not" in refusal(path)


def test_a_file_that_is_damaged_further_on_is_refused_when_it_is_read(table: pa.Table, tmp_path: Path) -> None:
    path = write(table, tmp_path / "a.parquet", row_group_size=400)
    content = bytearray(path.read_bytes())
    chunk = pq.read_metadata(path).row_group(1).column(0)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    content[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"(?s)a\.parquet is damaged.*Write the file again"):
        list(Source.open(path).batches(["date"], 1000))


def test_a_repeated_column_is_refused_by_name(tmp_path: Path) -> None:
    doubled = pa.Table.from_arrays([pa.array([1])] * 3, names=["x", "y", "x"])
    assert "repeats x. Drop or rename them." in refusal(write(doubled, tmp_path / "a.parquet"))
