"""Inspection: a damaged panel for every check, each the only finding; clean panels none; errors refuse, doubts warn.

The panels are grids of 120 days x 12 stocks without a missing row, so row d * 12 + n is day d of stock n.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data import inspection as checks
from data.config import DataConfig, NoGraphConfig, SplitConfig
from data.errors import DataError
from data.features import FEATURES
from data.findings import Finding, counted
from data.inspect import Inspection, inspect
from data.inspection import CHECKS, Check
from data.prepare import prepare
from data.settings import suited
from data.synthetic import SyntheticConfig, generate

N, DAYS = 12, 120
PRICES = ("open", "high", "low", "close")
CONFIG = DataConfig(
    horizons=(1, 5),
    window=5,
    splits=SplitConfig(search_days=8, confirm_days=4, confirm_folds=1, holdout_days=0),
    graph=NoGraphConfig(),
)
HELD_OUT = CONFIG.model_copy(update={"splits": CONFIG.splits.model_copy(update={"holdout_days": 10})})


# --- panels, and ways to spoil them


@cache
def raw(num_days: int = DAYS) -> pa.Table:
    """OHLCV with sectors."""
    size = {"num_stocks": N, "num_days": num_days, "num_sectors": 3, "seed": 4}
    return generate(SyntheticConfig.model_validate(size | {"missing_share": 0, "delisting_rate": 0}))


@cache
def own() -> pa.Table:
    """The same with ten features of noise, which then are the features."""
    table, rng = raw(), np.random.default_rng(6)
    for number in range(10):
        table = changed(table, f"f{number}", rng.normal(size=len(table)))
    return table


@cache
def users() -> pa.Table:
    """The users' schema: targets and one-day returns, no prices."""
    close = column(own(), "close").reshape(DAYS, N)
    table = changed(own().drop([*PRICES, "volume"]), "returns_1d", future(close, 1, -1))
    return changed(changed(table, "target_1d", future(close, 1)), "target_5d", future(close, 5))


def future(close_DN: np.ndarray, horizon: int, delay: int = 1) -> np.ndarray:
    """Returns from day t + delay to t + delay + horizon, missing where a day is not there."""
    day = np.arange(len(close_DN))
    enter, leave = day + delay, day + delay + horizon
    known = (enter >= 0) & (leave < len(day))
    out = np.full(close_DN.shape, np.nan)
    out[known] = close_DN[leave[known]] / close_DN[enter[known]] - 1
    return out.ravel()


def column(table: pa.Table, name: str) -> np.ndarray:
    return table[name].to_numpy().astype(float)


def changed(table: pa.Table, name: str, values: np.ndarray) -> pa.Table:
    """With one column's values; NaN becomes null."""
    array, place = pa.array(values, from_pandas=True), table.schema.get_field_index(name)
    return table.set_column(place, name, array) if place >= 0 else table.append_column(name, array)


def with_constant(name: str, value: float) -> pa.Table:
    """The raw market with one more column."""
    table = raw()
    return table.append_column(name, pa.array(np.full(table.num_rows, value)))


def with_values(table: pa.Table, name: str, rows: slice | list[int] | np.ndarray, value: float) -> pa.Table:
    values = column(table, name)
    values[rows] = value
    return changed(table, name, values)


def grid(days: slice, stocks: slice | int = slice(None)) -> np.ndarray:
    """[D * N] bool: the rows of those days and stocks."""
    mask = np.zeros((DAYS, N), bool)
    mask[days, stocks] = True
    return mask.ravel()


def key(day: int, stock: int) -> str:
    return f"{date(day)} S{stock:04d}"


def date(day: int) -> str:
    return str(np.busday_offset(np.datetime64("2018-01-01"), day))


def recoded(code: str, other: str) -> pa.Table:
    """OHLCV with one stock under another code."""
    codes = [other if value == code else value for value in raw()["code"].to_pylist()]
    return raw().set_column(raw().schema.get_field_index("code"), "code", pa.array(codes))


def with_targets(delays: dict[int, int]) -> pa.Table:
    """Own features and prices beside targets that begin so many days after their day."""
    table, close = own(), column(own(), "close").reshape(DAYS, N)
    for horizon, delay in delays.items():
        table = changed(table, f"target_{horizon}d", future(close, horizon, delay))
    return table


def with_returns(unit: float) -> pa.Table:
    """Own features and prices beside one-day returns."""
    close = column(own(), "close").reshape(DAYS, N)
    return changed(own(), "returns_1d", unit * future(close, 1, -1))


def as_text(table: pa.Table, *names: str) -> pa.Table:
    for name in names:
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.string()))
    return table


def without_ranges(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Their close in the place of high and low."""
    for name in ("high", "low"):
        table = changed(table, name, np.where(rows, column(table, "close"), column(table, name)))
    return table


def standing_still(table: pa.Table, day: int, num_days: int, stock: int) -> pa.Table:
    """The stock's close stands still for so many days, and moves on from there."""
    close = column(table, "close").reshape(-1, N)
    close[day + num_days :, stock] *= close[day, stock] / close[day + num_days - 1, stock]
    close[day : day + num_days, stock] = close[day, stock]
    return changed(table, "close", close.ravel())


def target_with_noise(scale: float) -> pa.Table:
    values = future(column(raw(), "close").reshape(DAYS, N), 1)
    noise = np.random.default_rng(1).normal(0, scale, len(values))
    last = np.nan_to_num(values)  # 0 on the last days, so that it does not end before the panel does
    return changed(own(), "f3", last + noise)


def renamed(table: pa.Table, **names: str) -> pa.Table:
    return table.rename_columns([names.get(name, name) for name in table.column_names])


def swapped(rows: slice) -> pa.Table:
    high, low = column(raw(), "high"), column(raw(), "low")
    high[rows], low[rows] = low[rows].copy(), high[rows].copy()
    return changed(changed(raw(), "high", high), "low", low)


# --- one damaged panel for every check, and for every way that it can fail


class Case(NamedTuple):
    """A damaged panel and the one finding that it must have."""

    by: Check
    severity: Literal["error", "doubt"]
    check: str
    column: str
    offence: str  # how it begins: count, unit and example
    way_out: str  # part of it
    panel: Callable[[], pa.Table]


CASES = [
    Case(
        *(checks.duplicate_keys, "error", "duplicate keys", "date, code"),
        *(f"3 rows (first: {key(50, 0)})", "Remove the duplicates."),
        lambda: pa.concat_tables([raw(), raw().slice(600, 2), raw().slice(1300, 1)]),
    ),
    Case(
        *(checks.odd_codes, "error", "odd codes", "code"),
        *("1 code (first: ' S0001')", "Correct the rows"),
        lambda: recoded("S0001", " S0001"),
    ),
    Case(
        *(checks.odd_codes, "error", "odd codes", "code"),
        *("1 code (first: '')", "Correct the rows"),
        lambda: recoded("S0001", ""),
    ),
    Case(
        *(checks.calendar_gaps, "doubt", "calendar gap", "date"),
        *(f"1 gap (first: {date(49)} .. {date(65)})", "Is a date wrong"),
        lambda: raw().filter(pa.array([not 50 * N <= row < 65 * N for row in range(len(raw()))])),
    ),
    Case(
        *(checks.raw_prices, "doubt", "raw prices", "close"),
        *("1 column (Adj Close is unused)", "Adjust open, high, low and close"),
        lambda: changed(raw(), "Adj Close", column(raw(), "close") * 0.9),
    ),
    Case(
        *(checks.own_targets, "doubt", "large target", "target_5d"),
        *(f"{24 * N} sampled values (median size ", "Divide percents by 100"),
        lambda: changed(users(), "target_5d", column(users(), "target_5d") * 100),
    ),
    Case(
        *(checks.own_targets, "error", "absurd target", "target_5d"),
        *(f"1 row (first: {key(50, 1)} = 5000)", "raise inspection.max_factor"),
        lambda: with_values(users(), "target_5d", [601], 5000.0),
    ),
    Case(
        *(checks.own_targets, "error", "target window", "target_5d"),
        *("24 sampled days (it is the 5-day return from 2 after it", "Set delay: 2."),
        lambda: with_targets(delays={1: 1, 5: 2}),
    ),
    Case(
        *(checks.own_targets, "doubt", "target window", "target_1d"),
        *("24 sampled days (it is the 1-day return from 0 after it", "Set delay: 0."),
        lambda: with_targets(delays={1: 0, 5: 1}),
    ),
    Case(
        *(checks.infinite_values, "error", "infinite values", "f3"),
        *(f"2 values (first: {key(50, 1)})", "Write null"),
        lambda: with_values(own(), "f3", [601, 1300], -np.inf),
    ),
    Case(
        *(checks.infinite_values, "error", "infinite values", "close"),
        *(f"1 value (first: {key(50, 1)})", "Write null"),
        lambda: with_values(raw(), "close", [601], np.inf),
    ),
    Case(
        *(checks.infinite_values, "error", "infinite values", "target_5d"),
        *(f"1 value (first: {key(50, 1)})", "Write null"),
        lambda: with_values(users(), "target_5d", [601], np.inf),
    ),
    Case(
        *(checks.impossible_prices, "error", "impossible price", "low"),
        *(f"2 rows (first: {key(50, 1)} = -1)", "Write null"),
        lambda: with_values(raw(), "low", [601, 700], -1),
    ),
    Case(
        *(checks.impossible_prices, "error", "impossible price", "open"),
        *(f"1 row (first: {key(50, 1)} = 0)", "Write null"),
        lambda: with_values(raw(), "open", [601], 0),
    ),
    Case(
        *(checks.impossible_prices, "error", "impossible price", "volume"),
        *(f"1 row (first: {key(50, 1)} = -5)", "Write null"),
        lambda: with_values(raw(), "volume", [601], -5),
    ),
    Case(
        *(checks.impossible_prices, "error", "impossible price", "borrow_fee"),
        *(f"1 row (first: {key(50, 1)} = -0.01)", "Write null"),
        lambda: with_values(with_constant("borrow_fee", 0.02), "borrow_fee", [601], -0.01),
    ),
    Case(
        *(checks.impossible_prices, "error", "impossible price", "is_shortable"),
        *(f"1 row (first: {key(50, 1)} = 2)", "Write null"),
        lambda: with_values(with_constant("is_shortable", 1.0), "is_shortable", [601], 2),
    ),
    Case(
        *(checks.impossible_prices, "error", "all null", "volume"),
        *(f"1,440 null rows (first: {date(0)})", "Fill it in."),
        lambda: with_values(raw(), "volume", slice(None), np.nan),
    ),
    Case(
        *(checks.impossible_prices, "error", "all zero", "volume"),
        *("1,440 rows", "leave the column out"),
        lambda: with_values(raw(), "volume", slice(None), 0),
    ),
    Case(
        *(checks.impossible_prices, "error", "high below low", "high"),
        *(f"1,440 rows (first: {key(0, 0)}", "map the columns"),
        lambda: swapped(slice(None)),
    ),
    Case(
        *(checks.impossible_prices, "doubt", "high below low", "high"),
        *(f"14 rows (first: {key(50, 1)}", "map the columns"),
        lambda: swapped(slice(601, 615)),
    ),
    Case(
        *(checks.impossible_prices, "doubt", "price outside its day", "high"),
        *("1 row (first: ", "Look whether these rows are damaged."),
        lambda: with_values(raw(), "high", [601], float(column(raw(), "low").reshape(-1)[601])),
    ),
    Case(
        *(checks.absurd_returns, "error", "absurd return", "close"),
        *(f"1 row (first: {key(50, 1)}", "raise inspection.max_factor"),
        lambda: changed(raw(), "close", column(raw(), "close") * np.where(grid(slice(50, None), 1), 15.0, 1.0)),
    ),
    Case(
        *(checks.absurd_returns, "error", "absurd return", "close"),
        *(f"1 row (first: {key(50, 1)}", "max_fall"),
        lambda: changed(raw(), "close", column(raw(), "close") * np.where(grid(slice(50, None), 1), 0.005, 1.0)),
    ),
    Case(
        *(checks.absurd_returns, "doubt", "large return", "close"),
        *(f"2 rows (first: {key(50, 1)}", "splits"),
        lambda: changed(raw(), "close", column(raw(), "close") * np.where(grid(slice(50, 60), 1), 4.0, 1.0)),
    ),
    Case(
        *(checks.absurd_returns, "error", "absurd return", "returns_1d"),
        *(f"1 row (first: {key(50, 1)} = 51)", "correct the rows"),
        lambda: with_values(with_returns(1), "returns_1d", [601], 50.0),
    ),
    Case(
        *(checks.absurd_returns, "doubt", "large return", "returns_1d"),
        *("1 column (median size ", "Divide percents by 100"),
        lambda: with_returns(100),
    ),
    Case(
        *(checks.bars_without_ranges, "doubt", "bars without a range", "high"),
        *(f"20 days (first: {date(50)})", "Bring bars with ranges"),
        lambda: without_ranges(raw(), grid(slice(50, 70), slice(0, 7))),
    ),
    Case(
        *(checks.stale_prices, "doubt", "stale prices", "close"),
        *(f"2 stocks (first: {key(50, 1)})", "filled forward"),
        lambda: standing_still(standing_still(raw(), 30, 21, 1), 60, 30, 3),
    ),
    Case(
        *(checks.empty_columns, "error", "all null", "f3"),
        *(f"1,440 null rows (first: {date(0)})", "columns.exclude: f3"),
        lambda: with_values(own(), "f3", slice(None), np.nan),
    ),
    Case(
        *(checks.empty_columns, "doubt", "constant", "f3"),
        *("1,440 values (each is 0.25)", "columns.exclude: f3"),
        lambda: with_values(own(), "f3", slice(None), 0.25),
    ),
    Case(
        *(checks.empty_columns, "error", "cut off", "f3"),
        *(f"720 null rows (first: {date(60)})", "columns.exclude: f3"),
        lambda: with_values(own(), "f3", slice(60 * N, None), np.nan),
    ),
    Case(
        *(checks.empty_columns, "doubt", "missing share jumps", "f3"),
        *(f"1 jump (known 0% before {date(60)}, 100% after)", "source"),
        lambda: with_values(own(), "f3", slice(0, 60 * N), np.nan),
    ),
    Case(
        *(checks.empty_columns, "doubt", "missing share jumps", "f3"),
        *(f"2 jumps (known 100% before {date(30)}, 25% after)", "source"),
        lambda: with_values(own(), "f3", grid(slice(30, 84), slice(3, None)), np.nan),
    ),
    Case(
        *(checks.empty_columns, "doubt", "nearly empty", "f3"),
        *("1,426 null rows (0.97% are known)", "columns.exclude: f3"),
        lambda: with_values(own(), "f3", np.arange(DAYS * N) % 103 > 0, np.nan),
    ),
    Case(
        *(checks.empty_columns, "doubt", "nearly empty", "f3"),
        *("1,423 null rows (1.18% are known)", "columns.exclude: f3"),
        lambda: with_values(own(), "f3", np.arange(DAYS * N) % 85 > 0, np.nan),
    ),
    Case(
        *(checks.leaks, "error", "leak", "f3"),
        *("24 sampled days (mean daily rank correlation 1.00 with a forward return)", "columns.exclude: f3"),
        lambda: target_with_noise(0.0),
    ),
    Case(
        *(checks.leaks, "error", "leak", "f3"),
        *("24 sampled days (mean daily rank correlation 0.9", "inspection.allow_leaks"),
        lambda: target_with_noise(0.001),
    ),
    Case(
        *(checks.leaks, "doubt", "leak", "f3"),
        *("24 sampled days (mean daily rank correlation 0.", "shift it"),
        lambda: target_with_noise(0.015),
    ),
    Case(
        *(checks.few_stocks, "doubt", "few stocks", "(universe)"),
        *(f"1 day (first: {date(50)} with 5)", "rows are missing"),
        lambda: raw().filter(pa.array(~grid(slice(50, 51), slice(5, None)))),
    ),
    Case(
        *(checks.few_stocks, "error", "few stocks", "(universe)"),
        *(f"120 days (first: {date(0)} with 9)", "lower min_stocks"),
        lambda: raw().filter(pa.array(np.add.outer(np.arange(DAYS), np.arange(N)).ravel() % 4 > 0)),
    ),
    Case(
        *(checks.survivorship, "doubt", "survivorship", "(universe)"),
        *("0 ended stocks (without a row in the last 11 days, of 12 in 2.1 years)", "Add the delisted"),
        lambda: raw(520),
    ),
    Case(
        *(checks.missing_lags, "doubt", "no publication lag", "(columns)"),
        *("2 columns (stmt_eps, margin_buy)", "publication_lag"),
        lambda: renamed(own(), f3="stmt_eps", f5="margin_buy"),
    ),
    Case(
        *(checks.numbers_as_text, "doubt", "numbers as text", "(columns)"),
        *("2 columns (f3, f5)", "Cast them"),
        lambda: as_text(own(), "f3", "f5"),
    ),
    Case(
        *(checks.spare_targets, "doubt", "targets unused", "(columns)"),
        *("1 target column (target_5d)", "Set horizons to those that have a target, or labels.source to prices."),
        lambda: changed(raw(), "target_5d", column(users(), "target_5d")),
    ),
    Case(
        *(checks.unknown_sectors, "doubt", "no sector", "(columns)"),
        *("0 sectors", "data.columns.sector"),
        lambda: raw().drop(["sector", "industry"]),
    ),
]
IDS = [f"{case.check}, {case.severity}, {case.column}" for case in CASES]
ERRORS = [case for case in CASES if case.severity == "error"]
DOUBTS = [case for case in CASES if case.severity == "doubt"]


def write(table: pa.Table, path: Path, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    return path


def inspected(table: pa.Table, folder: Path, config: DataConfig = CONFIG) -> Inspection:
    return inspect(write(table, folder / "panel.parquet"), config)


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, [finding.sentence for finding in findings]
    return findings[0]


def test_every_check_has_a_damaged_panel() -> None:
    assert {case.by for case in CASES} == set(CHECKS)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_damaged_panel_has_the_one_finding_of_its_damage(case: Case, tmp_path: Path) -> None:
    found = only(inspected(case.panel(), tmp_path).findings)
    assert (found.severity, found.check, found.column) == case[1:4]
    assert found.offence.startswith(case.offence)
    assert ("(" in case.offence) == bool(found.example)
    assert case.way_out in found.way_out
    for part in (found.law, found.column, counted(found.count, found.unit), found.example, found.way_out):
        assert part in found.sentence
    assert "counted" not in found.law, "the unit says what is counted"


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: f"{case.check}, {case.column}")
def test_an_error_refuses_and_leaves_nothing(case: Case, tmp_path: Path) -> None:
    expected = only(inspected(case.panel(), tmp_path).findings)
    with pytest.raises(DataError) as caught:
        prepare(tmp_path / "panel.parquet", tmp_path / "prepared", CONFIG)
    assert str(caught.value) == expected.sentence
    assert not (tmp_path / "prepared").exists()


@pytest.mark.parametrize("case", DOUBTS, ids=lambda case: f"{case.check}, {case.column}")
def test_a_doubt_lets_the_panel_through_and_stays_with_the_store(case: Case, tmp_path: Path) -> None:
    expected = only(inspected(case.panel(), tmp_path).findings)
    store = prepare(tmp_path / "panel.parquet", tmp_path / "prepared", CONFIG)
    assert store.meta.doubts == [expected.sentence]


# --- clean panels


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("num_days", [80, 200, 700])
def test_a_clean_market_has_no_finding(seed: int, num_days: int, tmp_path: Path) -> None:
    table = generate(SyntheticConfig(num_stocks=40, num_days=num_days, seed=seed))
    assert inspected(table, tmp_path).findings == []


@pytest.mark.parametrize("panel", [raw, own, users])
def test_a_clean_panel_of_every_schema_has_no_finding(panel: Callable[[], pa.Table], tmp_path: Path) -> None:
    assert inspected(panel(), tmp_path).findings == []
    assert prepare(tmp_path / "panel.parquet", tmp_path / "prepared", HELD_OUT).meta.doubts == []


def test_random_gaps_are_no_finding(tmp_path: Path) -> None:
    gaps = np.random.default_rng(2).random(DAYS * N) < 0.3
    assert inspected(with_values(own(), "f3", gaps, np.nan), tmp_path).findings == []


@pytest.mark.parametrize("rows", [[0], [700], [DAYS * N - 1], slice(60 * N, None)])
def test_one_other_value_makes_a_column_vary(tmp_path: Path, rows: slice | list[int]) -> None:
    table = with_values(with_values(own(), "f3", slice(None), 0.25), "f3", rows, 0.5)
    assert inspected(table, tmp_path).findings == []


def test_a_close_that_stands_still_for_less_is_no_finding(tmp_path: Path) -> None:
    assert inspected(standing_still(raw(), 30, 20, 1), tmp_path).findings == []


@pytest.mark.parametrize(("factor", "found"), [(1.8, []), (2.3, ["large return"]), (9.0, ["large return"])])
def test_a_close_that_does_not_double_is_no_finding(tmp_path: Path, factor: float, found: list[str]) -> None:
    close = column(raw(), "close") * np.where(grid(slice(50, None), 1), factor, 1.0)
    assert [finding.check for finding in inspected(changed(raw(), "close", close), tmp_path).findings] == found


@pytest.mark.parametrize(("last_day", "num_findings"), [(300, 0), (508, 0), (509, 1)])
def test_one_delisting_of_twelve_in_two_years_is_enough(tmp_path: Path, last_day: int, num_findings: int) -> None:
    row = np.arange(520 * N)
    kept = (row % N != 1) | (row // N <= last_day)
    assert len(inspected(raw(520).filter(pa.array(kept)), tmp_path).findings) == num_findings


# --- what a finding counts


def test_duplicates_within_the_hold_out_refuse(tmp_path: Path) -> None:
    table = pa.concat_tables([raw(), raw().slice(115 * N, 1)])
    with pytest.raises(DataError, match=rf"must be unique\. date, code: 1 row \(first: {key(115, 0)}\)"):
        prepare(write(table, tmp_path / "panel.parquet"), tmp_path / "prepared", HELD_OUT)
    assert not (tmp_path / "prepared").exists()


def test_infinite_values_within_the_hold_out_refuse(tmp_path: Path) -> None:
    table = with_values(own(), "f3", [115 * N], np.inf)
    with pytest.raises(DataError, match=rf"finite, fit 32 bits, or be missing\. f3: 1 value \(first: {key(115, 0)}\)"):
        prepare(write(table, tmp_path / "panel.parquet"), tmp_path / "prepared", HELD_OUT)


def test_inspection_reads_the_hold_out_too(tmp_path: Path) -> None:
    table = with_values(raw(), "open", [115 * N], -1)
    assert only(inspected(table, tmp_path, HELD_OUT).findings).example == f"first: {key(115, 0)} = -1"


def test_duplicates_across_files_are_found(tmp_path: Path) -> None:
    for number, table in enumerate((raw(), raw().slice(600, 5))):
        write(table, tmp_path / "panel" / f"{number}.parquet")
    assert only(inspect(tmp_path / "panel", CONFIG).findings).count == 5


@pytest.mark.parametrize("rows", [50, 102, 10_000])
def test_duplicates_within_and_across_batches_are_found(tmp_path: Path, rows: int) -> None:
    table = pa.concat_tables([raw().slice(0, 200), raw().slice(100, 3), raw().slice(100, 3), raw().slice(200)])
    path = write(table, tmp_path / "panel.parquet", row_group_size=rows)
    found = only(inspect(path, CONFIG).findings)
    assert (found.count, found.example) == (6, f"first: {key(8, 4)}")


@pytest.mark.parametrize("rows", [50, 10_000])
def test_infinite_values_are_counted_across_batches(tmp_path: Path, rows: int) -> None:
    path = write(with_values(own(), "f3", [601, 640, 1300], np.inf), tmp_path / "panel.parquet", row_group_size=rows)
    found = only(inspect(path, CONFIG).findings)
    assert (found.count, found.example) == (3, f"first: {key(50, 1)}")


def test_equal_days_in_other_types_are_duplicates(tmp_path: Path) -> None:
    write(raw(), tmp_path / "panel" / "a.parquet")
    again = raw().slice(600, 2)
    times = again.set_column(0, "date", again["date"].cast(pa.timestamp("us")))
    write(times, tmp_path / "panel" / "b.parquet")
    assert only(inspect(tmp_path / "panel", CONFIG).findings).count == 2


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_finding_does_not_depend_on_how_many_days_are_read_at_once(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = inspected(case.panel(), tmp_path).findings
    monkeypatch.setattr(checks.panel, "STRETCH_BYTES", 1)
    assert inspect(tmp_path / "panel.parquet", CONFIG).findings == whole


def test_errors_come_before_doubts(tmp_path: Path) -> None:
    table = with_values(with_values(own(), "f3", slice(None), 1.0), "f5", slice(None), np.nan)
    findings = inspected(table.drop(["sector", "industry"]), tmp_path).findings
    assert [finding.severity for finding in findings] == ["error", "doubt", "doubt"]


def test_a_refusal_says_every_error(tmp_path: Path) -> None:
    table = with_values(with_values(own(), "f3", slice(None), np.nan), "f5", [600], np.inf)
    with pytest.raises(DataError) as caught:
        prepare(write(table, tmp_path / "panel.parquet"), tmp_path / "prepared", CONFIG)
    assert [line.split(" (")[0] for line in str(caught.value).splitlines()] == [
        "values must be finite, fit 32 bits, or be missing. f5: 1 value",
        "a feature must hold values. f3: 1,440 null rows",
    ]


# --- settings that admit


def test_a_leak_that_is_allowed_is_no_finding(tmp_path: Path) -> None:
    inspection = CONFIG.inspection.model_copy(update={"allow_leaks": ("f3",)})
    config = CONFIG.model_copy(update={"inspection": inspection})
    assert inspected(target_with_noise(0.0), tmp_path, config).findings == []


def test_bounds_of_a_return_are_settings(tmp_path: Path) -> None:
    close = column(raw(), "close") * np.where(grid(slice(50, None), 1), 15.0, 1.0)
    config = CONFIG.model_copy(update={"inspection": CONFIG.inspection.model_copy(update={"max_factor": 20.0})})
    assert only(inspected(changed(raw(), "close", close), tmp_path, config).findings).check == "large return"


@pytest.mark.parametrize("lag", [0, 45])
def test_a_named_lag_settles_the_doubt(tmp_path: Path, lag: int) -> None:
    groups = {"stmt": {"columns": ["stmt_*"], "publication_lag": lag}}
    config = DataConfig.model_validate(CONFIG.model_dump() | {"columns": {"groups": groups}})
    assert inspected(renamed(own(), f3="stmt_eps"), tmp_path, config).findings == []


# --- leaks, however they are disguised


@pytest.mark.parametrize("horizon", [1, 5])
@pytest.mark.parametrize("delay", [0, 1])
@pytest.mark.parametrize("scale", [1.0, -300.0])
def test_a_forward_return_of_any_horizon_entry_and_sign_is_a_leak(
    tmp_path: Path, horizon: int, delay: int, scale: float
) -> None:
    values = np.nan_to_num(scale * future(column(raw(), "close").reshape(DAYS, N), horizon, delay))
    found = only(inspected(changed(own(), "f3", values), tmp_path).findings)
    assert (found.severity, found.check, found.column) == ("error", "leak", "f3")


@pytest.mark.parametrize("target", ["target_1d", "target_5d"])
def test_a_copy_of_the_users_own_target_is_a_leak(tmp_path: Path, target: str) -> None:
    copy = changed(users(), "f3", np.nan_to_num(column(users(), target)))
    found = only(inspected(copy, tmp_path).findings)
    assert (found.severity, found.check, found.column) == ("error", "leak", "f3")


def test_the_returns_of_the_day_itself_are_no_leak(tmp_path: Path) -> None:
    values = np.nan_to_num(future(column(raw(), "close").reshape(DAYS, N), 5, -5))
    assert inspected(changed(own(), "f3", values), tmp_path).findings == []


# --- losses in columns that are no features


@pytest.mark.parametrize(("panel", "name"), [(raw, "volume"), (raw, "close"), (users, "target_5d")])
def test_a_price_or_target_that_ends_before_the_panel_is_found(
    tmp_path: Path, panel: Callable[[], pa.Table], name: str
) -> None:
    findings = inspected(with_values(panel(), name, slice(60 * N, None), np.nan), tmp_path).findings
    assert name in [finding.column for finding in findings]


@pytest.mark.parametrize(("panel", "name"), [(raw, "volume"), (users, "target_1d")])
def test_a_price_or_target_whose_missing_share_jumps_is_found(
    tmp_path: Path, panel: Callable[[], pa.Table], name: str
) -> None:
    findings = inspected(with_values(panel(), name, slice(30 * N, 84 * N), np.nan), tmp_path).findings
    assert name in [finding.column for finding in findings]


def test_a_target_without_a_value_refuses(tmp_path: Path) -> None:
    table = with_values(users(), "target_5d", slice(None), np.nan)
    found = only(inspected(table, tmp_path).findings)
    assert (found.severity, found.check, found.column) == ("error", "all null", "target_5d")


@pytest.mark.parametrize(("panel", "name"), [(users, "target_5d"), (raw, "volume")])
def test_a_constant_target_or_volume_is_found(tmp_path: Path, panel: Callable[[], pa.Table], name: str) -> None:
    findings = inspected(with_values(panel(), name, slice(None), 7.0), tmp_path).findings
    assert name in [finding.column for finding in findings]


def test_a_sector_column_without_a_value_is_found(tmp_path: Path) -> None:
    table = raw().set_column(raw().schema.get_field_index("sector"), "sector", pa.nulls(DAYS * N, pa.string()))
    assert [finding.column for finding in inspected(table, tmp_path).findings] == ["sector"]


def test_a_gap_that_begins_and_ends_within_a_period_is_a_jump_too(tmp_path: Path) -> None:
    findings = inspected(with_values(own(), "f3", slice(33 * N, 87 * N), np.nan), tmp_path).findings
    assert only(findings).check == "missing share jumps"


def test_absurd_one_day_returns_are_found_without_a_close(tmp_path: Path) -> None:
    found = only(inspected(with_values(users(), "returns_1d", [601], 50.0), tmp_path).findings)
    assert (found.severity, found.column, found.count) == ("error", "returns_1d", 1)
    assert key(50, 1) in found.example


def test_stale_prices_are_found_without_a_close(tmp_path: Path) -> None:
    found = only(inspected(with_values(users(), "returns_1d", grid(slice(30, 80), 1), 0.0), tmp_path).findings)
    assert (found.severity, found.check, found.column) == ("doubt", "stale prices", "returns_1d")


def test_a_value_beyond_float32_is_not_called_infinite(tmp_path: Path) -> None:
    found = only(inspected(with_values(own(), "f3", [601], 1e300), tmp_path).findings)
    assert "1e+300" in found.example


def nothing(table: pa.Table, name: str) -> pa.Table:
    """A column of nothing but nulls, as pandas writes one: of Arrow's type null."""
    return table.set_column(table.schema.get_field_index(name), name, pa.nulls(len(table)))


def test_a_feature_of_nulls_that_have_no_type_refuses(tmp_path: Path) -> None:
    found = only(inspected(nothing(own(), "f3"), tmp_path).findings)
    assert (found.severity, found.check, found.column, found.count) == ("error", "all null", "f3", DAYS * N)
    with pytest.raises(DataError) as caught:
        prepare(tmp_path / "panel.parquet", tmp_path / "prepared", CONFIG)
    assert str(caught.value) == found.sentence
    excluded = DataConfig.model_validate(CONFIG.model_dump() | {"columns": {"exclude": ["f3"]}})
    assert "f3" not in prepare(tmp_path / "panel.parquet", tmp_path / "prepared", excluded).meta.features


@pytest.mark.parametrize(
    ("panel", "name", "check"),
    [(raw, "volume", "all null"), (users, "target_5d", "all null"), (raw, "sector", "no sector")],
)
def test_a_role_of_nulls_that_have_no_type_is_found(
    tmp_path: Path, panel: Callable[[], pa.Table], name: str, check: str
) -> None:
    found = only(inspected(nothing(panel(), name), tmp_path).findings)
    assert (found.check, found.column) == (check, name)


# --- targets that are there for some horizons


def test_targets_without_prices_to_take_their_place_are_a_refusal_and_no_doubt(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither \(no target for 5\)"):
        inspected(users().drop(["target_5d"]), tmp_path)


@pytest.mark.parametrize("update", [{"horizons": [5]}, {"labels": {"source": "prices"}}])
def test_the_ways_out_of_unused_targets_settle_the_doubt(tmp_path: Path, update: dict[str, object]) -> None:
    table = changed(raw(), "target_5d", column(users(), "target_5d"))
    config = DataConfig.model_validate(CONFIG.model_dump() | update)
    assert inspected(table, tmp_path, config).findings == []


# --- settings that a sweep would refuse


@pytest.mark.parametrize("seed", range(6))
def test_a_clean_market_too_short_for_its_folds_has_that_one_finding(seed: int, tmp_path: Path) -> None:
    table = generate(SyntheticConfig(num_stocks=40, num_days=60, seed=seed))
    found = only(inspected(table, tmp_path).findings)
    assert (found.severity, found.check, found.column) == ("error", "settings", "(settings)")
    assert (found.count, found.unit) == (60, "day")
    with pytest.raises(DataError) as caught:
        suited(CONFIG, tmp_path / "panel.parquet")
    assert found.way_out == str(caught.value)
    assert "14 more trading days would be enough." in found.way_out


REFUSED: dict[str, tuple[Callable[[], pa.Table], dict[str, object], str]] = {
    "no sector": (lambda: own().drop(["sector", "industry"]), {"graph": {"kind": "sector"}}, "a sector graph needs"),
    "no returns": (lambda: users().drop(["returns_1d"]), {"graph": {"kind": "correlation"}}, "a correlation graph"),
    "no volatility": (lambda: users().drop(["returns_1d"]), {"labels": {"scale_by_volatility": True}}, "volatility"),
    "hold-out": (own, {"splits": CONFIG.splits.model_dump() | {"holdout_from": "2030-01-01"}}, "nothing would be held"),
    "held out": (own, {"splits": CONFIG.splits.model_dump() | {"holdout_days": 60}}, "of 60 before the hold-out"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_the_panel_does_not_allow_are_a_finding_before_all_others(tmp_path: Path, name: str) -> None:
    panel, update, part = REFUSED[name]
    config = DataConfig.model_validate(CONFIG.model_dump() | update)
    first, *rest = inspected(with_values(panel(), "f3", slice(None), 0.25), tmp_path, config).findings
    assert first.check == "settings"
    assert part in first.way_out
    assert ("constant", "f3") in [(found.check, found.column) for found in rest]
    with pytest.raises(DataError) as caught:
        suited(config, tmp_path / "panel.parquet")
    assert first.way_out == str(caught.value)


def test_without_settings_the_folds_suit_the_panel_and_its_default_graph_is_asked_for(tmp_path: Path) -> None:
    path = write(raw(520), tmp_path / "panel.parquet")
    assert only(inspect(path).findings).check == "survivorship"
    assert inspect(write(raw(), path)).findings[0].check == "settings"


# --- what the inspection says of a panel


def test_the_summary_counts_rows_files_days_and_stocks(tmp_path: Path) -> None:
    said = inspected(raw(), tmp_path, HELD_OUT).summary
    assert said == f"1,440 rows in 1 file: 120 days {date(0)} .. {date(119)}, 12 stocks S0000 .. S0011"


def test_the_notes_say_how_the_columns_were_understood(tmp_path: Path) -> None:
    groups = {"stmt": {"columns": ["f9"], "publication_lag": 45}}
    config = DataConfig.model_validate(CONFIG.model_dump() | {"columns": {"groups": groups, "exclude": ["f0"]}})
    table = renamed(users(), date="Date", code="Code", sector="sector17_code")
    assert inspected(table, tmp_path, config).notes == [
        "columns: date is Date, code is Code, returns is returns_1d, sector is sector17_code",
        "targets: 1d is target_1d, 5d is target_5d",
        "features: 10 of the panel's own columns, stmt lag 45",
        "f0 is no feature: excluded",
    ]


def test_the_notes_of_a_raw_panel_say_what_is_computed(tmp_path: Path) -> None:
    assert inspected(raw(), tmp_path).notes == [
        "targets: forward returns from the prices",
        f"features: {len(FEATURES)} computed from open, high, low, close, volume",
    ]


@pytest.mark.parametrize("rows", [1, 12, 30])
def test_a_panel_of_a_few_rows_can_be_inspected(tmp_path: Path, rows: int) -> None:
    assert inspected(raw().slice(0, rows), tmp_path).summary.startswith(f"{counted(rows, 'row')} in 1 file: ")


def test_keys_that_cannot_be_read_are_no_finding_but_a_refusal(tmp_path: Path) -> None:
    dates = raw()["date"].to_pylist()
    dates[5] = None
    table = raw().set_column(0, "date", pa.array(dates, pa.date32()))
    with pytest.raises(DataError, match="must never be null"):
        inspected(table, tmp_path)
