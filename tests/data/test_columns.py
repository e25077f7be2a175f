"""Columns: roles by usual name or by config, targets, features in groups, and a reason for everything left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.columns import Columns, Group, settle_columns
from data.config import DataConfig
from data.errors import DataError
from data.features import FEATURES
from data.source import FILE_NAME, Source

OHLCV = ["open", "high", "low", "close", "volume"]
RAW = ["date", "code", *OHLCV, "sector"]
OWN = [f"f{number}" for number in range(10)]
USERS = [
    "Date",
    "Code",
    "sector17_code",
    "sector33_code",
    "returns_1d",
    *(f"target_{h}d" for h in (1, 5, 10, 20)),
    *OWN,
]
TYPES = {
    "date": pa.date32(),
    "Date": pa.date32(),
    "code": pa.string(),
    "Code": pa.string(),
    "sector": pa.string(),
    "sector17_code": pa.int64(),
}


def table(names: list[str], **types: pa.DataType) -> pa.Table:
    """One row of nulls: settling looks at names and types alone."""
    kinds = TYPES | types
    return pa.table({name: pa.nulls(1, kinds.get(name, pa.float64())) for name in names})


def settled(folder: Path, names: list[str], types: dict[str, pa.DataType] | None = None, **config: Any) -> Columns:
    path = folder / "panel.parquet"
    pq.write_table(table(names, **(types or {})), path)
    return settle_columns(Source.open(path), DataConfig.model_validate(config))


def refusal(folder: Path, names: list[str], **config: Any) -> str:
    with pytest.raises(DataError) as caught:
        settled(folder, names, **config)
    return str(caught.value)


# --- roles


def test_a_raw_panel_gets_the_built_in_features_and_labels_from_prices(tmp_path: Path) -> None:
    columns = settled(tmp_path, RAW)
    assert columns.roles == {name: name for name in RAW}
    assert (columns.built_in, columns.own, columns.targets, columns.unused) == (tuple(FEATURES), [], {}, {})
    assert columns.bars == OHLCV
    assert columns.labels == ["sector"]


def test_the_users_schema_is_understood_without_a_config(tmp_path: Path) -> None:
    columns = settled(tmp_path, USERS)
    expected = {"date": "Date", "code": "Code", "sector": "sector17_code", "industry": "sector33_code"}
    assert columns.roles == {**expected, "returns": "returns_1d"}
    assert columns.targets == {h: f"target_{h}d" for h in (1, 5, 10, 20)}
    assert not columns.built_in
    assert columns.own == ["returns_1d", *OWN]


def test_fees_and_what_can_be_sold_short_are_for_backtests_and_stay_features(tmp_path: Path) -> None:
    columns = settled(tmp_path, [*USERS, "BorrowFee", "is_shortable"], {"is_shortable": pa.bool_()})
    assert columns.bars[-2:] == ["borrow_fee", "shortable"]
    assert columns.own[-2:] == ["BorrowFee", "is_shortable"]


@pytest.mark.parametrize("name", ["TICKER", "local_code", "Security Code", "stock-code"])
def test_usual_names_are_found_whatever_their_case_and_separators(tmp_path: Path, name: str) -> None:
    assert settled(tmp_path, ["Trade_Date", name, *OHLCV], {name: pa.string()}).roles["code"] == name


def test_adjusted_prices_win_over_raw_ones_as_a_whole_set(tmp_path: Path) -> None:
    adjusted = [f"Adjustment{name.title()}" for name in OHLCV]
    columns = settled(tmp_path, ["Date", "Code", *(name.title() for name in OHLCV), *adjusted])
    assert [columns.roles[role] for role in OHLCV] == adjusted
    assert columns.unused == {name.title(): "a level of price or volume is no feature" for name in OHLCV}


def test_raw_prices_are_taken_where_the_adjusted_set_is_incomplete(tmp_path: Path) -> None:
    assert settled(tmp_path, [*RAW, "AdjustmentClose"]).roles["close"] == "close"


def test_a_named_role_wins_over_a_usual_name(tmp_path: Path) -> None:
    columns = settled(tmp_path, [*RAW, "day", "px_last"], columns={"close": "px_last", "date": "day"})
    assert (columns.roles["close"], columns.roles["date"]) == ("px_last", "day")


def test_a_named_role_that_is_not_there_is_refused_with_the_columns_that_are(tmp_path: Path) -> None:
    said = refusal(tmp_path, RAW, columns={"close": "Clsoe"})
    assert all(part in said for part in ("columns.close 'Clsoe'", "open, high, low, close"))


@pytest.mark.parametrize("role", ["date", "code"])
def test_a_panel_without_a_key_is_refused_with_where_to_name_it(tmp_path: Path, role: str) -> None:
    said = refusal(tmp_path, [name for name in RAW if name != role])
    assert f"needs a {role} column" in said
    assert f"data.columns.{role}" in said


@pytest.mark.parametrize("role", ["date", "code"])
def test_a_key_that_no_file_stores_is_the_files_name(tmp_path: Path, role: str) -> None:
    for name in ("2020-01-30", "2020-01-31"):
        pq.write_table(table([column for column in RAW if column != role]), tmp_path / f"{name}.parquet")
    assert settle_columns(Source.open(tmp_path), DataConfig()).roles[role] == FILE_NAME


def test_two_keys_cannot_both_be_the_files_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        pq.write_table(table(OHLCV), tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match="needs a code column"):
        settle_columns(Source.open(tmp_path), DataConfig())


def test_a_key_that_some_files_lack_is_refused_with_their_number(tmp_path: Path) -> None:
    for number in range(5):
        pq.write_table(table(RAW if number < 3 else RAW[1:]), tmp_path / f"{number}.parquet")
    with pytest.raises(DataError, match=r"column date, but 2 of 5 lack it\. Remove them"):
        settle_columns(Source.open(tmp_path), DataConfig())


TWINS = [
    ("date", [*RAW, "Date"], ["date", "Date"]),
    ("code", [*RAW, "CO_DE"], ["code", "CO_DE"]),
    ("close", [*RAW, "Close"], ["close", "Close"]),
    ("volume", [*RAW, "Vol ume"], ["volume", "Vol ume"]),
    ("sector", [*RAW, "SECTOR", "sec-tor"], ["sector", "SECTOR", "sec-tor"]),
    ("code", ["date", "Local Code", "local_code", *OHLCV], ["Local Code", "local_code"]),
    ("open", ["date", "code", *(f"adj_{name}" for name in OHLCV), "adjopen"], ["adj_open", "adjopen"]),
]


@pytest.mark.parametrize(("role", "names", "twins"), TWINS)
def test_columns_that_differ_in_case_and_separators_alone_are_ambiguous(
    tmp_path: Path, role: str, names: list[str], twins: list[str]
) -> None:
    said = refusal(tmp_path, names)
    assert f"one column for the {role}, but {', '.join(twins)} could each be it" in said
    assert f"Name the right one in data.columns.{role}." in said


@pytest.mark.parametrize(("role", "names", "twins"), TWINS)
def test_a_named_column_settles_which_of_the_twins_is_meant(
    tmp_path: Path, role: str, names: list[str], twins: list[str]
) -> None:
    for twin in twins:
        assert settled(tmp_path, names, columns={role: twin}).roles[role] == twin


def test_twins_that_fill_no_role_are_features_like_others(tmp_path: Path) -> None:
    columns = settled(tmp_path, [*USERS, "F_0", *OHLCV, "adj_close", "AdjClose"])
    assert {"f0", "F_0"} <= set(columns.own)
    assert columns.roles["close"] == "close", "the adjusted set is incomplete"


def test_a_repeated_name_in_the_path_is_the_column_itself_and_no_twin(tmp_path: Path) -> None:
    folder = tmp_path / "code=7203"
    folder.mkdir()
    pq.write_table(table(RAW), folder / "part.parquet")
    assert settle_columns(Source.open(tmp_path), DataConfig()).roles["code"] == "code"


def test_keys_of_the_path_are_roles_and_no_features(tmp_path: Path) -> None:
    folder = tmp_path / "year=2020" / "code=7203"
    folder.mkdir(parents=True)
    pq.write_table(table(["date", *OHLCV, *OWN]), folder / "part.parquet")
    columns = settle_columns(Source.open(tmp_path), DataConfig())
    assert columns.roles["code"] == "code"
    assert (columns.own, columns.unused) == (OWN, {})


# --- targets


def test_a_horizon_without_a_target_falls_back_on_the_prices(tmp_path: Path) -> None:
    assert settled(tmp_path, [*RAW, "target_1d"], horizons=[1, 3]).targets == {}


def test_a_horizon_without_target_or_prices_is_refused_by_number(tmp_path: Path) -> None:
    said = refusal(tmp_path, USERS, horizons=[1, 3])
    assert all(part in said for part in ("horizon of (1, 3)", "close", "for 3", "data.columns", "change horizons"))


def test_labels_from_prices_leave_the_panels_targets_alone(tmp_path: Path) -> None:
    columns = settled(tmp_path, [*USERS, *OHLCV], labels={"source": "prices"})
    assert columns.targets == {}
    assert columns.unused["target_5d"] == "its name speaks of the future"


def test_labels_from_the_panel_need_its_targets_and_no_prices(tmp_path: Path) -> None:
    said = refusal(tmp_path, [*RAW, *OWN, "target_5d"], horizons=[1, 5], labels={"source": "panel"})
    assert all(part in said for part in ("target", "for 1", "change horizons"))
    assert "has neither" not in said, "the panel has a close"


def test_labels_from_prices_need_the_price(tmp_path: Path) -> None:
    assert "need the column close" in refusal(tmp_path, USERS, labels={"source": "prices"})


def test_named_targets_are_targets_and_no_features(tmp_path: Path) -> None:
    columns = settled(tmp_path, ["date", "code", *OWN, "alpha"], horizons=[2], columns={"targets": {2: "alpha"}})
    assert columns.targets == {2: "alpha"}
    assert "alpha" not in columns.own


def test_a_named_target_of_no_horizon_is_no_feature_either(tmp_path: Path) -> None:
    targets = {2: "alpha", 3: "beta"}
    columns = settled(tmp_path, ["date", "code", *OWN, "alpha", "beta"], horizons=[2], columns={"targets": targets})
    assert columns.own == OWN
    assert columns.unused == {"beta": "its name speaks of the future"}


def test_a_named_target_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "alpha is not" in refusal(tmp_path, USERS, columns={"targets": {1: "alpha"}})


def test_targets_beside_prices_that_some_horizons_lack_are_spare(tmp_path: Path) -> None:
    names = [*RAW, "target_1d", "target_20d", "target_60d"]
    assert settled(tmp_path, names, horizons=[1, 3, 20]).spare_targets == ("target_1d", "target_20d")
    assert settled(tmp_path, names, horizons=[1, 20]).spare_targets == ()
    assert settled(tmp_path, names, horizons=[1, 3], labels={"source": "prices"}).spare_targets == ()
    assert settled(tmp_path, RAW, horizons=[1, 3]).spare_targets == ()


@pytest.mark.parametrize("columns", [{}, {"targets": {1: "target_1d"}}])
def test_prices_at_the_open_beside_the_panels_own_targets_are_refused(tmp_path: Path, columns: dict[str, Any]) -> None:
    names, labels = [*RAW, "target_1d"], {"price": "open"}
    said = refusal(tmp_path, names, horizons=[1], labels=labels, columns=columns)
    assert "labels.price" in said
    assert "the panel's own target_1d are the labels" in said
    assert "Set labels.source to prices, or leave labels.price out." in said
    found = settled(tmp_path, names, horizons=[1], labels={**labels, "source": "prices"}, columns=columns)
    assert found.targets == {}
    assert settled(tmp_path, names, horizons=[1], columns=columns).targets == {1: "target_1d"}


def test_prices_at_the_open_are_labels_where_some_horizons_have_no_target(tmp_path: Path) -> None:
    assert settled(tmp_path, [*RAW, "target_1d"], horizons=[1, 3], labels={"price": "open"}).targets == {}


# --- features


@pytest.mark.parametrize("name", ["target_60d", "TARGET_3", "label_x", "y_up", "fwd_ret", "future-vol"])
def test_a_name_that_speaks_of_the_future_is_no_feature(tmp_path: Path, name: str) -> None:
    columns = settled(tmp_path, [*USERS, name])
    assert columns.unused == {name: "its name speaks of the future"}


@pytest.mark.parametrize("name", ["yield_10y", "year", "labels", "nextgen"])
def test_a_name_that_only_begins_like_the_future_is_a_feature(tmp_path: Path, name: str) -> None:
    assert name in settled(tmp_path, [*USERS, name]).own


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.float32(), pa.bool_(), pa.decimal128(9, 2), pa.uint64(), pa.float16(), pa.null()]
)
def test_every_kind_of_number_is_a_feature(tmp_path: Path, kind: pa.DataType) -> None:
    assert "extra" in settled(tmp_path, [*USERS, "extra"], {"extra": kind}).own


@pytest.mark.parametrize("kind", [pa.string(), pa.date32(), pa.list_(pa.float64()), pa.timestamp("us", "UTC")])
def test_what_is_no_number_is_no_feature_and_says_so(tmp_path: Path, kind: pa.DataType) -> None:
    assert "is no number" in settled(tmp_path, [*USERS, "extra"], {"extra": kind}).unused["extra"]


@pytest.mark.parametrize("name", ["__index_level_0__", "Unnamed: 0", "index", "row_idx", "row_number", "RowId"])
def test_a_row_number_is_no_feature(tmp_path: Path, name: str) -> None:
    assert settled(tmp_path, [*USERS, name]).unused == {name: "a row number is no feature"}


@pytest.mark.parametrize("name", ["index_return", "nikkei_index", "row", "unnamed"])
def test_a_name_that_only_resembles_a_row_number_is_a_feature(tmp_path: Path, name: str) -> None:
    assert name in settled(tmp_path, [*USERS, name]).own


def test_a_column_that_is_empty_in_the_first_file_has_the_type_of_the_others(tmp_path: Path) -> None:
    pq.write_table(table(USERS, f3=pa.null()), tmp_path / "a.parquet")
    pq.write_table(table(USERS), tmp_path / "b.parquet")
    assert "f3" in settle_columns(Source.open(tmp_path), DataConfig()).own


@pytest.mark.parametrize(("count", "built_in"), [(9, True), (10, False)])
def test_enough_own_columns_take_the_built_in_features_place(tmp_path: Path, count: int, built_in: bool) -> None:
    columns = settled(tmp_path, [*RAW, *OWN[:count]])
    assert bool(columns.built_in) == built_in
    assert columns.own == ([] if built_in else OWN[:count])
    assert len(columns.unused) == (count if built_in else 0)


@pytest.mark.parametrize(
    ("features", "built_in", "own"), [("built_in", True, []), ("own", False, OWN[:3]), ("both", True, OWN[:3])]
)
def test_the_config_decides_where_features_come_from(
    tmp_path: Path, features: str, built_in: bool, own: list[str]
) -> None:
    columns = settled(tmp_path, [*RAW, *OWN[:3]], columns={"features": features})
    assert (bool(columns.built_in), columns.own) == (built_in, own)


@pytest.mark.parametrize("features", ["built_in", "both"])
def test_features_from_prices_need_every_price(tmp_path: Path, features: str) -> None:
    said = refusal(tmp_path, ["date", "code", "open", "close", *OWN], columns={"features": features})
    assert "lacks high, low, volume" in said
    assert "columns.features to own" in said


def test_a_panel_without_prices_or_features_is_refused(tmp_path: Path) -> None:
    assert "or features of its own" in refusal(tmp_path, ["date", "code", "target_1d"], horizons=[1])


def test_excluded_columns_are_no_features(tmp_path: Path) -> None:
    columns = settled(tmp_path, USERS, columns={"exclude": ["f1", "returns*"]})
    assert columns.own == ["f0", *OWN[2:]]
    assert columns.unused == {"returns_1d": "excluded", "f1": "excluded"}


def test_excluded_features_are_not_computed(tmp_path: Path) -> None:
    columns = settled(tmp_path, RAW, columns={"exclude": ["volatility_*", "beta_60"]})
    left_out = set(FEATURES) - set(columns.built_in)
    assert left_out == {"beta_60", *(name for name in FEATURES if name.startswith("volatility_"))}
    assert list(columns.built_in) == [name for name in FEATURES if name not in left_out]


def test_a_computed_feature_is_no_column_where_none_is_computed(tmp_path: Path) -> None:
    assert "but volatility_* matches none" in refusal(tmp_path, USERS, columns={"exclude": ["volatility_*"]})


def test_something_must_be_left_to_learn_from(tmp_path: Path) -> None:
    assert "must leave features to learn from" in refusal(tmp_path, RAW, columns={"exclude": ["*"]})


@pytest.mark.parametrize("section", [{"exclude": ["g*"]}, {"groups": {"x": {"columns": ["g*"], "publication_lag": 1}}}])
def test_a_pattern_that_matches_nothing_is_refused(tmp_path: Path, section: dict[str, Any]) -> None:
    assert "g* matches none" in refusal(tmp_path, USERS, columns=section)


# --- publication lags


def test_groups_come_after_the_rest_and_each_column_is_in_one(tmp_path: Path) -> None:
    groups = {
        "slow": {"columns": ["f8", "f2"], "publication_lag": 45},
        "other": {"columns": ["f[12]"], "publication_lag": 2},
    }
    columns = settled(tmp_path, ["date", "code", *OHLCV, *OWN], columns={"groups": groups})
    rest = tuple(name for name in OWN if name not in ("f1", "f2", "f8"))
    assert columns.groups == (Group("", rest, 0), Group("slow", ("f2", "f8"), 45), Group("other", ("f1",), 2))
    assert columns.own == [*rest, "f2", "f8", "f1"]


@pytest.mark.parametrize("name", ["stmt_eps", "margin_buy", "weekly_flow", "investor_net", "short_selling", "EPS"])
def test_periodic_publications_without_a_lag_are_remembered(tmp_path: Path, name: str) -> None:
    assert settled(tmp_path, [*USERS, name]).unlagged == (name,)
    groups = {"g": {"columns": [name], "publication_lag": 0}}
    assert settled(tmp_path, [*USERS, name], columns={"groups": groups}).unlagged == ()


def test_a_name_beats_a_pattern_whatever_the_order_of_the_groups(tmp_path: Path) -> None:
    groups = {
        "all": {"columns": ["f*"], "publication_lag": 1},
        "slow": {"columns": ["f2"], "publication_lag": 45},
    }
    found = settled(tmp_path, ["date", "code", *OHLCV, *OWN], columns={"groups": groups, "features": "own"}).groups
    assert {group.name: "f2" in group.columns for group in found} == {"all": False, "slow": True}


def test_a_column_named_in_two_groups_is_refused(tmp_path: Path) -> None:
    groups = {name: {"columns": ["f2"], "publication_lag": 1} for name in ("one", "two")}
    said = refusal(tmp_path, ["date", "code", *OHLCV, *OWN], columns={"groups": groups})
    assert "must be named in one group" in said


def test_named_targets_that_lack_a_horizon_are_refused_and_not_replaced(tmp_path: Path) -> None:
    said = refusal(tmp_path, [*RAW, *OWN, "gain"], horizons=[1, 5], columns={"targets": {1: "gain"}})
    assert "must name a column for every horizon" in said


# --- columns that may leak


def test_a_column_that_may_leak_must_be_there(tmp_path: Path) -> None:
    said = refusal(tmp_path, USERS, inspection={"allow_leaks": ["f1", "f11", "g"]})
    assert "inspection.allow_leaks must name columns of the panel, but f11, g is none" in said
    assert "f8, f9" in said, "the columns that are there"
    assert settled(tmp_path, USERS, inspection={"allow_leaks": ["f1", "returns_1d"]}).own == ["returns_1d", *OWN]


def test_what_is_to_be_predicted_needs_no_label(tmp_path: Path) -> None:
    found = settled(tmp_path, ["date", "code", *OWN], labels={"source": "none"})
    assert found.targets == {}
    with_targets = settled(tmp_path, USERS, labels={"source": "none"})
    assert with_targets.targets == {}
    assert not [name for name in with_targets.own if name.startswith("target")]
