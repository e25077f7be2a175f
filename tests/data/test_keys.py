"""Keys: whatever changes a prepared array changes the store's name, and nothing else does."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import data.keys
from data.config import ColumnsConfig, DataConfig, LabelConfig, SplitConfig, UniverseConfig
from data.keys import settings_key, store_key
from data.prepare import make_plan, prepare
from tests.data.test_prepare import CONFIG, changed, market_frame, save

# --- settings

CHANGING: dict[str, dict[str, Any]] = {
    "horizons": {"horizons": (1, 5)},
    "delay": {"delay": 0},
    "calendar": {"calendar": "XTKS"},
    "universe.sections": {"universe": {"sections": ("Prime",)}},
    "universe.security_types": {"universe": {"security_types": ("common",)}},
    "universe.min_turnover": {"universe": {"min_turnover": 5.0}},
    "universe.turnover_window": {"universe": {"turnover_window": 61}},
    "labels.source": {"labels": {"source": "prices"}},
    "labels.price": {"labels": {"price": "open"}},
    "inspection": {"inspection": {"allow_leaks": ("f0",)}},  # this and the next decide whether the panel is refused
    "min_stocks": {"min_stocks": 4},
    "columns.features": {"columns": {"features": "both"}},
    "columns.exclude": {"columns": {"exclude": ("f0",)}},
    "columns.targets": {"columns": {"targets": {1: "target_1d"}}},
    "columns.groups": {"columns": {"groups": {"late": {"columns": ("late_*",), "publication_lag": 3}}}},
} | {
    f"columns.{role}": {"columns": {role: "x"}}
    for role in sorted(ColumnsConfig.model_fields.keys() - {"features", "exclude", "targets", "groups"})
}

ENDING: dict[str, dict[str, Any]] = {  # where a store ends: not what stands in a cell that it has
    "splits.holdout_days": {"splits": {"holdout_days": 7}},
    "splits.holdout_from": {"splits": {"holdout_from": "2020-02-03"}},
}

SHARING: dict[str, dict[str, Any]] = {
    "window": {"window": 9},
    "leave_out": {"leave_out": ["gap"]},
    "clip": {"clip": 3.0},
    "scaler": {"scaler": "streaming"},
    "graph": {"graph": {"kind": "none"}},
    "labels.winsorise": {"labels": {"winsorise": 0.01}},
    "labels.scale_by_volatility": {"labels": {"scale_by_volatility": True}},
    "labels.centre": {"labels": {"centre": "none"}},
    "labels.shape": {"labels": {"shape": "raw"}},
    "splits.search_days": {"splits": {"search_days": 33}},
    "splits.confirm_days": {"splits": {"confirm_days": 33}},
    "splits.confirm_folds": {"splits": {"confirm_folds": 3}},
    "splits.train_days": {"splits": {"train_days": 99}},
    "splits.embargo_days": {"splits": {"embargo_days": 2}},
}


def test_every_setting_is_known_to_change_the_arrays_their_end_or_nothing() -> None:
    sections = {"columns": ColumnsConfig, "universe": UniverseConfig, "labels": LabelConfig, "splits": SplitConfig}
    names = set(DataConfig.model_fields) - set(sections)
    names |= {f"{section}.{name}" for section, kind in sections.items() for name in kind.model_fields}
    assert sorted([*CHANGING, *ENDING, *SHARING]) == sorted(names)


def with_setting(update: dict[str, Any]) -> DataConfig:
    if "graph" in update:
        return CONFIG.model_copy(update={"graph": DataConfig.model_validate(update).graph})
    return changed(CONFIG, **update)


@pytest.mark.parametrize("name", CHANGING)
def test_a_setting_that_changes_a_cell_changes_both_keys(name: str) -> None:
    other = with_setting(CHANGING[name])
    assert settings_key(other) != settings_key(CONFIG)
    assert store_key("panel", other) != store_key("panel", CONFIG)


@pytest.mark.parametrize("name", ENDING)
def test_another_hold_out_is_another_store_with_the_same_cells(name: str) -> None:
    other = with_setting(ENDING[name])
    assert settings_key(other) == settings_key(CONFIG)
    assert store_key("panel", other) != store_key("panel", CONFIG)


def test_a_pinned_hold_out_is_one_store_whatever_the_count_that_it_overrides() -> None:
    pinned, later = ({"holdout_from": day} for day in ("2020-02-03", "2020-02-04"))
    one, same, other = (changed(CONFIG, splits=splits) for splits in (pinned, pinned | {"holdout_days": 9}, later))
    assert store_key("panel", one) == store_key("panel", same) != store_key("panel", other)


@pytest.mark.parametrize("name", SHARING)
def test_a_setting_of_graphs_scalers_targets_or_folds_shares_the_store(name: str) -> None:
    other = with_setting(SHARING[name])
    assert other != CONFIG
    assert settings_key(other) == settings_key(CONFIG)
    assert store_key("panel", other) == store_key("panel", CONFIG)


def test_the_order_of_groups_changes_the_key_because_the_first_that_names_a_column_takes_it(tmp_path: Path) -> None:
    groups = {
        "late": {"columns": ("late_*",), "publication_lag": 2},
        "all": {"columns": ("*",), "publication_lag": 5},
    }
    one, other = (
        changed(CONFIG, columns={"groups": dict(items)}) for items in (groups.items(), reversed(groups.items()))
    )
    path = save(market_frame(), tmp_path / "p.parquet")
    first, second = prepare(path, tmp_path / "s", one), prepare(path, tmp_path / "s", other)
    assert first.meta.lags == {"late": 2, "all": 5}
    assert second.meta.lags == {"all": 5}


def test_another_version_of_the_features_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings_key(CONFIG)
    with monkeypatch.context() as patch:
        patch.setattr(data.keys, "FEATURES_VERSION", 99)
        assert settings_key(CONFIG) != before
    with monkeypatch.context() as patch:
        patch.setattr(data.keys, "FEATURES", {"one": None})
        assert settings_key(CONFIG) != before


def test_the_stores_key_is_of_bytes_and_settings() -> None:
    configs = [CONFIG, *(with_setting(update) for update in (CHANGING["delay"], *ENDING.values()))]
    keys = {store_key(panel, config) for panel in ("a", "b") for config in configs}
    assert len(keys) == 2 * 4
    assert store_key("a", CONFIG) == store_key("a", CONFIG.model_copy())


# --- bytes


@pytest.fixture
def frame() -> pd.DataFrame:
    return market_frame()


def key_of(panel: Path) -> str:
    return make_plan(panel, CONFIG).panel_key


def test_renaming_and_moving_files_keeps_the_key(frame: pd.DataFrame, tmp_path: Path) -> None:
    half = frame["Date"] < pd.Timestamp("2020-02-01")
    for folder, names in (("a", ("1", "2")), ("b", ("9", "2")), ("c", ("deep/2", "deep/er/1"))):
        for rows, name in zip((frame[half], frame[~half]), names, strict=True):
            save(rows, tmp_path / folder / f"{name}.parquet")
    one = save(frame, tmp_path / "one.parquet")
    other = save(frame, tmp_path / "other.parquet")
    assert key_of(tmp_path / "a") == key_of(tmp_path / "b") == key_of(tmp_path / "c")
    assert key_of(one) == key_of(other)


def test_renaming_files_changes_the_key_where_their_names_are_the_codes(frame: pd.DataFrame, tmp_path: Path) -> None:
    for folder, name in (("a", "1310"), ("b", "131A")):
        for code, rows in frame.groupby("Code"):
            stem = name if code == "1310" else code
            save(rows.drop(columns="Code"), tmp_path / folder / f"{stem}.parquet")
    assert key_of(tmp_path / "a") != key_of(tmp_path / "b")


@pytest.mark.parametrize("column", ["f0", "close", "sector33_code", "Code", "Date"])
@pytest.mark.parametrize("row", [0, 150, 312])
def test_a_changed_value_changes_the_key(frame: pd.DataFrame, tmp_path: Path, column: str, row: int) -> None:
    other = frame.copy()
    other.loc[row, column] = {"Date": pd.Timestamp("2020-01-02"), "Code": "99", "sector33_code": "99"}.get(column, 1.25)
    assert key_of(save(other, tmp_path / "b.parquet")) != key_of(save(frame, tmp_path / "a.parquet"))


@pytest.mark.parametrize("change", ["row less", "null", "column more", "column less", "column renamed", "sorted"])
def test_other_rows_or_columns_change_the_key(frame: pd.DataFrame, tmp_path: Path, change: str) -> None:
    other = {
        "row less": frame.drop(index=9),
        "null": frame.assign(f0=frame["f0"].where(frame.index != 9)),
        "column more": frame.assign(f2=1.0),
        "column less": frame.drop(columns="f1"),
        "column renamed": frame.rename(columns={"f1": "f3"}),
        "sorted": frame.sort_values(["Code", "Date"]),
    }[change]
    assert key_of(save(other, tmp_path / "b.parquet")) != key_of(save(frame, tmp_path / "a.parquet"))


def test_a_value_that_moves_to_another_column_changes_the_key(frame: pd.DataFrame, tmp_path: Path) -> None:
    swapped = frame.assign(f0=frame["f1"], f1=frame["f0"])
    assert key_of(save(swapped, tmp_path / "b.parquet")) != key_of(save(frame, tmp_path / "a.parquet"))


def test_a_value_that_moves_to_another_row_group_changes_the_key(frame: pd.DataFrame, tmp_path: Path) -> None:
    """The groups hold the same chunks of each column, in other company."""
    weeks = frame["Date"].dt.isocalendar().week
    one, two = frame[weeks == 3], frame[weeks == 4]
    count = min(len(one), len(two))
    one, two = one.head(count), two.head(count)
    f0 = [one["f0"].to_numpy(), two["f0"].to_numpy()]
    pairs = {"a": f0, "b": f0[::-1]}
    for name, (first, second) in pairs.items():
        rest = frame[~weeks.isin([3, 4])]
        save(pd.concat([one.assign(f0=first), two.assign(f0=second), rest]), tmp_path / f"{name}.parquet")
    assert key_of(tmp_path / "a.parquet") != key_of(tmp_path / "b.parquet")


@pytest.mark.parametrize("kinds", [("int32", "uint32"), (pa.decimal128(9, 2), pa.decimal128(9, 3))])
def test_the_same_bytes_read_as_another_type_change_the_key(
    frame: pd.DataFrame, tmp_path: Path, kinds: tuple[Any, Any]
) -> None:
    table, keys = pa.Table.from_pandas(frame, preserve_index=False), []
    for number, kind in enumerate(kinds):
        whole = np.arange(-100, len(frame) - 100, dtype=np.int32)
        if isinstance(kind, str):
            values = pa.array(whole.view(kind))
        else:
            values = pa.array([Decimal(int(value)).scaleb(-kind.scale) for value in whole], kind)
        pq.write_table(table.append_column("f2", values), tmp_path / f"{number}.parquet")
        keys.append(key_of(tmp_path / f"{number}.parquet"))
    assert keys[0] != keys[1]


def test_a_hive_folders_name_is_part_of_the_key(frame: pd.DataFrame, tmp_path: Path) -> None:
    for name, first in (("a", "2020-01-06"), ("b", "2020-01-05")):
        for day, rows in frame.groupby("Date"):
            date = first if str(day.date()) == "2020-01-06" else str(day.date())
            path = tmp_path / name / f"Date={date}" / "part.parquet"
            path.parent.mkdir(parents=True)
            pq.write_table(pa.Table.from_pandas(rows.drop(columns="Date"), preserve_index=False), path)
    assert key_of(tmp_path / "a") != key_of(tmp_path / "b")


# --- cells


def test_rows_behind_a_pinned_hold_out_change_the_store_and_not_its_cells(frame: pd.DataFrame, tmp_path: Path) -> None:
    days = sorted(frame["Date"].unique())
    pinned = changed(CONFIG, splits={"holdout_from": str(pd.Timestamp(days[30]).date())})
    whole = prepare(save(frame, tmp_path / "whole.parquet"), tmp_path / "s", pinned).meta
    short = save(frame[frame["Date"] < days[36]], tmp_path / "short.parquet")
    for folder in ("s", "other"):  # from the earlier store, and from nothing
        cut = prepare(short, tmp_path / folder, pinned).meta
        assert cut.store_key != whole.store_key
        assert cut.cells_key == whole.cells_key


@pytest.mark.parametrize("column", ["close", "f0", "sector33_code"])
def test_a_changed_value_before_the_hold_out_changes_the_cells(
    frame: pd.DataFrame, tmp_path: Path, column: str
) -> None:
    other = frame.copy()
    row = len(other) // 2
    value = other[column].iloc[row]
    other.iloc[row, other.columns.get_loc(column)] = "elsewhere" if isinstance(value, str) else value * 1.01
    keys = {
        prepare(save(panel, tmp_path / f"{name}.parquet"), tmp_path / "s", CONFIG).meta.cells_key
        for name, panel in (("one", frame), ("other", other))
    }
    assert len(keys) == 2
