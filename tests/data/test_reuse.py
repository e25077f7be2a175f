"""Reuse: a panel that has changed is read only where it must be, and equals a fresh preparation byte by byte."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from data.config import CorrelationGraphConfig, DataConfig
from data.errors import DataError
from data.prepare import prepare
from data.store import MarketStore
from tests.data.test_prepare import CONFIG, Said, array_files, changed, market_frame, save

GRAPHS = (CONFIG.graph, CorrelationGraphConfig(window=10, lead_lag_window=20, k=2, refresh_days=3, shuffled=True))
BOTH = changed(CONFIG, columns={"features": "both"})


def assert_same_store(a: MarketStore, b: MarketStore) -> None:
    """Every array, the meta data and the findings are the same bytes."""
    for store in (a, b):
        for graph in GRAPHS:
            store.graphs(graph)
    mine, others = array_files(a), array_files(b)
    assert mine.keys() == others.keys()
    assert [name for name in mine if mine[name] != others[name]] == []
    for name in ("meta.json", "findings.json"):
        assert (a.folder / name).read_bytes() == (b.folder / name).read_bytes()


def copied_days(said: Said) -> int:
    """Days that a preparation said it copied."""
    found = re.search(r"; ([\d,]+) days? copied from an earlier store", " ".join(said.lines))
    return int(found[1].replace(",", "")) if found else 0


def check(
    tmp_path: Path,
    before: Path,
    after: Path,
    config: DataConfig = CONFIG,
    least: int = 1,
    earlier: DataConfig | None = None,
) -> MarketStore:
    """Prepares `after` on top of `before` and alone; at least `least` days must have been copied.

    `earlier` are the settings of the first preparation, where they differ.
    """
    said = Said()
    for graph in GRAPHS:
        prepare(before, tmp_path / "grown", earlier or config).graphs(graph)
    grown = prepare(after, tmp_path / "grown", config, said)
    assert_same_store(grown, prepare(after, tmp_path / "fresh", config))
    assert copied_days(said) >= least, said.lines
    return grown


def check_frames(
    tmp_path: Path,
    before: pd.DataFrame,
    after: pd.DataFrame,
    config: DataConfig = CONFIG,
    least: int = 1,
    earlier: DataConfig | None = None,
) -> MarketStore:
    paths = save(before, tmp_path / "a.parquet"), save(after, tmp_path / "b.parquet")
    return check(tmp_path, *paths, config, least, earlier)


@pytest.fixture
def frame() -> pd.DataFrame:
    return market_frame()


def days_of(frame: pd.DataFrame) -> list[pd.Timestamp]:
    return sorted(frame["Date"].unique())


def until(frame: pd.DataFrame, num_days: int) -> pd.DataFrame:
    return frame[frame["Date"].isin(days_of(frame)[:num_days])]


def with_stock(frame: pd.DataFrame, code: str, first: int, sector: str = "50") -> pd.DataFrame:
    """The panel with one stock more, from day `first` on."""
    rows = frame[(frame["Code"] == "1330") & (frame["Date"] >= days_of(frame)[first])]
    own = frame.columns.intersection(["f0", "f1"])
    rows = rows.assign(Code=code, sector33_code=sector, **{name: rows["close"] % (k + 2) for k, name in enumerate(own)})
    return pd.concat([frame[frame["Code"] != code], rows]).sort_values(["Date", "Code"]).reset_index(drop=True)


def with_value(frame: pd.DataFrame, column: str, day: int, value: object) -> pd.DataFrame:
    """The panel with another value of the first stock that has a row on the day."""
    out = frame.copy()
    out.loc[out.index[out["Date"] == days_of(frame)[day]][0], column] = value
    return out


# --- days


@pytest.mark.parametrize("num_days", [20, 34, 37, 39])
def test_appended_days_equal_a_rebuild(frame: pd.DataFrame, tmp_path: Path, num_days: int) -> None:
    check_frames(tmp_path, until(frame, num_days), frame, least=num_days - 6 - 5)


def test_days_appended_one_by_one_equal_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    for num_days in range(33, 40):
        prepare(save(until(frame, num_days), tmp_path / f"{num_days}.parquet"), tmp_path / "grown", CONFIG)
    check(tmp_path, tmp_path / "39.parquet", save(frame, tmp_path / "all.parquet"), least=28)


@pytest.mark.parametrize("memory_mib", [1, 64])
def test_appended_days_with_built_in_features_equal_a_rebuild(tmp_path: Path, memory_mib: int) -> None:
    frame = market_frame(num_days=160, num_stocks=12)
    prepare(save(until(frame, 130), tmp_path / "a.parquet"), tmp_path / "grown", BOTH, memory_mib=memory_mib)
    path = save(frame, tmp_path / "b.parquet")
    grown = prepare(path, tmp_path / "grown", BOTH, memory_mib=memory_mib)
    assert grown.meta.built_in
    assert_same_store(grown, prepare(path, tmp_path / "fresh", BOTH))


def test_days_appended_to_years_of_built_in_features_equal_a_rebuild(tmp_path: Path) -> None:
    """The copied days reach further back than the history that the new days' features are computed from."""
    frame = market_frame(num_days=470, num_stocks=5)
    check_frames(tmp_path, until(frame, 450), frame, BOTH, least=435)


def test_a_shorter_panel_is_made_from_a_longer_one(frame: pd.DataFrame, tmp_path: Path) -> None:
    check_frames(tmp_path, frame, until(frame, 36), least=25)


def test_a_day_removed_in_the_middle_equals_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    check_frames(tmp_path, frame, frame[frame["Date"] != days_of(frame)[17]], least=10)


def test_a_day_inserted_in_the_middle_equals_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    check_frames(tmp_path, frame[frame["Date"] != days_of(frame)[17]], frame, least=10)


def test_earlier_days_put_in_front_equal_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    check_frames(tmp_path, frame[frame["Date"] >= days_of(frame)[5]], frame, least=0)


# --- columns


def test_a_new_column_equals_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    wider = frame.copy()
    wider.insert(3, "f00", np.random.default_rng(1).normal(size=len(frame)))
    store = check_frames(tmp_path, frame, wider, least=34)
    assert store.meta.features == ["f00", "f0", "f1", "late_eps"]


def test_a_new_column_of_a_late_group_equals_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    wider = frame.assign(late_sales=np.random.default_rng(1).normal(size=len(frame)))
    check_frames(tmp_path, frame, wider, least=34)


def test_a_removed_column_equals_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    check_frames(tmp_path, frame, frame.drop(columns="f0"), least=34)


def test_columns_in_another_order_equal_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    check_frames(tmp_path, frame, frame[[*frame.columns[::-1]]], least=34)


def test_a_new_column_beside_built_in_features_equals_a_rebuild(tmp_path: Path) -> None:
    frame = market_frame(num_days=120, num_stocks=10)
    wider = frame.assign(f2=np.random.default_rng(1).normal(size=len(frame)))
    check_frames(tmp_path, frame, wider, BOTH, least=114)


def test_new_days_and_a_new_column_at_once_equal_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    wider = frame.assign(f2=np.random.default_rng(1).normal(size=len(frame)))
    check_frames(tmp_path, until(frame, 34), wider, least=20)


def test_a_column_that_changed_its_name_equals_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    check_frames(tmp_path, frame, frame.rename(columns={"f0": "f9"}), least=34)


# --- corrections


@pytest.mark.parametrize("column", ["f0", "late_eps", "close", "volume", "sector33_code"])
def test_a_corrected_value_in_the_middle_equals_a_rebuild(frame: pd.DataFrame, tmp_path: Path, column: str) -> None:
    value = "70" if column == "sector33_code" else 101.5
    check_frames(tmp_path, frame, with_value(frame, column, 17, value), least=15)


@pytest.mark.parametrize("column", ["close", "volume"])
def test_a_corrected_price_below_built_in_features_equals_a_rebuild(tmp_path: Path, column: str) -> None:
    frame = market_frame(num_days=120, num_stocks=10)
    check_frames(tmp_path, frame, with_value(frame, column, 90, 101.5), BOTH, least=85)


def test_a_corrected_feature_leaves_the_prices_and_other_features_alone(frame: pd.DataFrame, tmp_path: Path) -> None:
    check_frames(tmp_path, frame, with_value(frame, "f0", 3, 0.5), least=34)


def test_corrected_features_that_are_no_neighbours_equal_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    wider = frame.assign(f2=frame["f0"] * frame["f1"])
    corrected = with_value(with_value(wider, "f0", 17, 0.5), "f2", 17, 0.5)
    check_frames(tmp_path, wider, corrected, least=34)


def test_a_row_that_went_missing_equals_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    check_frames(tmp_path, frame, frame.drop(index=frame.index[150]), least=10)


# --- stocks and labels


@pytest.mark.parametrize("code", ["1000", "1335", "130A", "9999"])
@pytest.mark.parametrize("features", ["own", "both"])
def test_a_new_listing_equals_a_rebuild_wherever_its_code_sorts(tmp_path: Path, code: str, features: str) -> None:
    frame = market_frame(num_days=110)
    config = changed(CONFIG, columns={"features": features})
    store = check_frames(tmp_path, frame, with_stock(frame, code, first=80), config, least=75)
    assert code in store.meta.codes


def test_a_stock_that_listed_in_the_former_hold_out_equals_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    listed = with_stock(frame, "1000", first=31, sector="05")
    before = check_frames(tmp_path, until(listed, 35), listed, least=24)
    assert "1000" in before.meta.codes


def test_a_stock_that_is_no_longer_there_equals_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    listed = with_stock(frame, "1000", first=20)
    check_frames(tmp_path, listed, frame, least=15)


@pytest.mark.parametrize("sector", ["05", "55", "99"])
def test_a_new_sector_equals_a_rebuild_wherever_it_sorts(frame: pd.DataFrame, tmp_path: Path, sector: str) -> None:
    store = check_frames(tmp_path, frame, with_value(frame, "sector33_code", 20, sector), least=15)
    assert sector in store.meta.vocabularies["sector"]


def test_a_sector_that_is_no_longer_there_equals_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    check_frames(tmp_path, with_value(frame, "sector33_code", 20, "55"), frame, least=15)


def test_a_sector_that_is_read_from_another_column_equals_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    """Without the coarse sectors, the finer ones that were the industries are the sectors."""
    coarse = frame.assign(sector17_code=np.where(frame["sector33_code"] == "50", "60", "70"))
    check_frames(tmp_path, coarse, frame, least=0)


# --- the hold-out


def test_a_pinned_hold_out_stays_where_it_is_while_days_are_appended(frame: pd.DataFrame, tmp_path: Path) -> None:
    config = changed(CONFIG, splits={"holdout_from": str(days_of(frame)[30].date())})
    store = check_frames(tmp_path, until(frame, 35), frame, config, least=30)
    assert store.num_days == 30


class Ends(NamedTuple):
    """Two hold-outs, the length of the first panel (the second has 40 days), and the days that both stores have."""

    earlier: dict[str, Any]
    later: dict[str, Any]
    num_days: int
    shared: int


DAY_29, DAY_31 = "2020-02-14", "2020-02-18"
ENDS = {
    "more on a longer panel": Ends({"holdout_days": 6}, {"holdout_days": 9}, 35, 29),
    "fewer on a longer panel": Ends({"holdout_days": 9}, {"holdout_days": 6}, 35, 26),
    "so many more that the store ends earlier": Ends({"holdout_days": 6}, {"holdout_days": 15}, 35, 25),
    "pinned, then counted": Ends({"holdout_from": DAY_29}, {"holdout_days": 6}, 35, 29),
    "counted, then pinned": Ends({"holdout_days": 6}, {"holdout_from": DAY_31}, 35, 29),
    "pinned later": Ends({"holdout_from": DAY_29}, {"holdout_from": DAY_31}, 35, 29),
    "fewer on the same panel": Ends({"holdout_days": 6}, {"holdout_days": 3}, 40, 34),
    "none on the same panel": Ends({"holdout_days": 6}, {"holdout_days": 0, "holdout_from": None}, 40, 34),
    "more on the same panel": Ends({"holdout_days": 3}, {"holdout_days": 6}, 40, 34),
    "pinned where it was counted": Ends({"holdout_days": 9}, {"holdout_from": DAY_31}, 40, 31),
}


def check_ends(tmp_path: Path, frame: pd.DataFrame, ends: Ends, config: DataConfig = CONFIG) -> MarketStore:
    """The later hold-out on top of the earlier one, and alone: every day that both have is copied."""
    earlier, later = changed(config, splits=ends.earlier), changed(config, splits=ends.later)
    return check_frames(tmp_path, until(frame, ends.num_days), frame, later, ends.shared, earlier)


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS.keys())
def test_another_hold_out_equals_a_rebuild_and_copies_the_days_that_both_have(
    frame: pd.DataFrame, tmp_path: Path, ends: Ends
) -> None:
    store = check_ends(tmp_path, frame, ends)
    assert store.num_days >= ends.shared
    assert len(list((tmp_path / "grown").glob("*/meta.json"))) == 2, "the earlier store is still there"


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS.keys())
def test_another_hold_out_beside_own_targets_equals_a_rebuild(frame: pd.DataFrame, tmp_path: Path, ends: Ends) -> None:
    """The last targets of the earlier store are missing, because they told of its hold-out."""
    halted = with_targets(with_value(with_value(frame, "volume", 10, 0.0), "volume", 30, 0.0))
    store = check_ends(tmp_path, halted, ends, OWN_TARGETS)
    assert store.meta.num_untradable >= 1
    for number, horizon in enumerate(CONFIG.horizons):
        first_unknown = store.num_days - CONFIG.delay - horizon
        assert np.isfinite(store.labels[first_unknown - 1, :, number]).any()


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS.keys())
@pytest.mark.parametrize("code", ["1000", "1335", "9999"])
def test_stocks_that_listed_inside_the_former_hold_out_equal_a_rebuild(
    frame: pd.DataFrame, tmp_path: Path, ends: Ends, code: str
) -> None:
    listed = with_stock(with_stock(frame, code, first=27, sector="05"), "8888", first=33, sector="65")
    store = check_ends(tmp_path, listed, ends)
    assert (code in store.meta.codes) == (store.num_days > 27)
    assert ("8888" in store.meta.codes) == (store.num_days > 33)
    assert ("05" in store.meta.vocabularies["sector"]) == (store.num_days > 27)


@pytest.mark.parametrize(("earlier", "later"), [(20, 9), (9, 20), (20, 0)])
def test_another_hold_out_beside_built_in_features_and_a_turnover_filter_equals_a_rebuild(
    tmp_path: Path, earlier: int, later: int
) -> None:
    frame = market_frame(num_days=130)
    config = changed(BOTH, universe={"min_turnover": 3e5, "turnover_window": 20})
    first, second = (changed(config, splits={"holdout_days": count}) for count in (earlier, later))
    store = check_frames(tmp_path, until(frame, 120), frame, second, min(100, 130 - later), first)
    assert store.eligible.sum() < store.present.sum()


@pytest.mark.parametrize("fault", ["duplicate", "infinite"])
def test_days_appended_to_the_hold_out_are_checked_as_in_a_rebuild(
    frame: pd.DataFrame, tmp_path: Path, fault: str
) -> None:
    config = changed(CONFIG, splits={"holdout_from": str(days_of(frame)[30].date())})
    prepare(save(until(frame, 35), tmp_path / "a.parquet"), tmp_path / "grown", config)
    spoilt = pd.concat([frame, frame.iloc[[-1]]]) if fault == "duplicate" else with_value(frame, "f0", 38, np.inf)
    path = save(spoilt, tmp_path / "b.parquet")
    for prepared in ("fresh", "grown"):
        with pytest.raises(DataError, match=r"must be unique|must be finite"):
            prepare(path, tmp_path / prepared, config)


def test_a_duplicate_of_a_copied_row_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    prepare(save(frame, tmp_path / "a.parquet"), tmp_path / "grown", CONFIG)
    path = save(pd.concat([frame, frame.iloc[[5]]]), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"\(date, code\) must be unique"):
        prepare(path, tmp_path / "grown", CONFIG)


# --- the user's own targets


def with_targets(frame: pd.DataFrame) -> pd.DataFrame:
    closes = frame.groupby("Code")["close"]
    return frame.assign(**{f"target_{h}d": closes.shift(-h) / frame["close"] - 1 for h in CONFIG.horizons})


OWN_TARGETS = changed(CONFIG, labels={"source": "panel"})


def test_own_targets_with_appended_days_equal_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    check_frames(tmp_path, until(with_targets(frame), 35), with_targets(frame), OWN_TARGETS, least=24)


def test_own_targets_with_untradable_entries_and_appended_days_equal_a_rebuild(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    """The copied entries are masked already, and must still be counted."""
    halted = with_targets(with_value(frame, "volume", 10, 0.0))
    store = check_frames(tmp_path, until(halted, 35), halted, OWN_TARGETS, least=24)
    assert store.meta.num_untradable == 1


@pytest.mark.parametrize(("before", "after"), [(0.0, 5000.0), (5000.0, 0.0)])
def test_own_targets_before_a_corrected_volume_equal_a_rebuild(
    frame: pd.DataFrame, tmp_path: Path, before: float, after: float
) -> None:
    """The day's volume masks the label of the day before, whose own rows have not changed."""
    first = next(n for n, day in enumerate(days_of(frame)) if n > 10 and day.weekday() == 0)
    frame = with_targets(frame)
    check_frames(
        tmp_path, with_value(frame, "volume", first, before), with_value(frame, "volume", first, after), OWN_TARGETS
    )


# --- folders


def hive(frame: pd.DataFrame, folder: Path) -> Path:
    """One folder per date, the date in its name alone."""
    for day, rows in frame.groupby("Date"):
        path = folder / f"Date={day.date()}" / "part-0.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pandas(rows.drop(columns="Date"), preserve_index=False), path)
    return folder


def per_code(frame: pd.DataFrame, folder: Path) -> Path:
    """One file per code, the code in its name alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for code, rows in frame.groupby("Code"):
        pq.write_table(
            pa.Table.from_pandas(rows.drop(columns="Code"), preserve_index=False), folder / f"{code}.parquet"
        )
    return folder


def test_a_hive_tree_that_gains_dates_equals_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    check(tmp_path, hive(until(frame, 35), tmp_path / "a"), hive(frame, tmp_path / "b"), least=29)


def test_files_per_code_that_grow_are_read_anew_and_equal_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    check(tmp_path, per_code(until(frame, 35), tmp_path / "a"), per_code(frame, tmp_path / "b"), least=0)


def test_files_per_code_that_gain_a_late_listing_equal_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    listed = with_stock(frame, "1000", first=20)
    check(tmp_path, per_code(frame, tmp_path / "a"), per_code(listed, tmp_path / "b"), least=20)


def test_new_days_in_a_file_of_their_own_equal_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    late = frame["Date"] > days_of(frame)[34]
    for folder in ("a", "b"):
        save(frame[~late], tmp_path / folder / "2.parquet")
    save(frame[late], tmp_path / "b" / "1.parquet")
    check(tmp_path, tmp_path / "a", tmp_path / "b", least=29)


def test_rows_of_a_stock_that_went_with_their_file_equal_a_rebuild(frame: pd.DataFrame, tmp_path: Path) -> None:
    late = (frame["Code"] == "1330") & (frame["Date"] >= days_of(frame)[20])
    for folder in ("a", "b"):
        save(frame[~late], tmp_path / folder / "1.parquet")
    save(frame[late], tmp_path / "a" / "2.parquet")
    check(tmp_path, tmp_path / "a", tmp_path / "b", least=19)


def test_one_file_that_became_a_folder_is_the_same_store(frame: pd.DataFrame, tmp_path: Path) -> None:
    weeks = frame["Date"].dt.isocalendar().week % 2
    for number in (0, 1):
        save(frame[weeks == number], tmp_path / "b" / f"{number}.parquet")
    one = prepare(save(frame, tmp_path / "a.parquet"), tmp_path / "s", CONFIG)
    assert prepare(tmp_path / "b", tmp_path / "s", CONFIG).folder == one.folder


# --- what cannot be reused


def test_a_store_of_other_settings_is_not_used(frame: pd.DataFrame, tmp_path: Path) -> None:
    said, path = Said(), save(frame, tmp_path / "p.parquet")
    prepare(path, tmp_path / "s", changed(CONFIG, delay=0))
    prepare(path, tmp_path / "s", CONFIG, said)
    assert copied_days(said) == 0


@pytest.mark.parametrize("spoil", ["meta.json", "manifest.npz"])
def test_a_spoilt_store_is_passed_over(frame: pd.DataFrame, tmp_path: Path, spoil: str) -> None:
    old = prepare(save(until(frame, 35), tmp_path / "a.parquet"), tmp_path / "grown", CONFIG)
    (old.folder / spoil).write_bytes(b"half")
    path = save(frame, tmp_path / "b.parquet")
    assert_same_store(prepare(path, tmp_path / "grown", CONFIG), prepare(path, tmp_path / "fresh", CONFIG))


def test_a_store_of_an_older_layout_is_passed_over_and_left_alone(frame: pd.DataFrame, tmp_path: Path) -> None:
    old = prepare(save(until(frame, 35), tmp_path / "a.parquet"), tmp_path / "grown", CONFIG)
    text = (old.folder / "meta.json").read_text().replace('"schema_version": 2', '"schema_version": 1')
    (old.folder / "meta.json").write_text(text)
    path = save(frame, tmp_path / "b.parquet")
    assert_same_store(prepare(path, tmp_path / "grown", CONFIG), prepare(path, tmp_path / "fresh", CONFIG))
    assert (old.folder / "meta.json").read_text() == text


def test_the_earlier_store_that_leaves_least_to_read_is_taken(frame: pd.DataFrame, tmp_path: Path) -> None:
    said = Said()
    for num_days in (25, 37, 30):
        prepare(save(until(frame, num_days), tmp_path / f"{num_days}.parquet"), tmp_path / "s", CONFIG)
    prepare(save(frame, tmp_path / "all.parquet"), tmp_path / "s", CONFIG, said)
    assert copied_days(said) >= 30


def by_code(frame: pd.DataFrame, path: Path) -> Path:
    """One row group in the order of the codes, so that a further day changes all of it."""
    pq.write_table(pa.Table.from_pandas(frame.sort_values(["Code", "Date"]), preserve_index=False), path)
    return path


def prepared_again(before: Path, after: Path, folder: Path, earlier: DataConfig = CONFIG) -> str:
    """What the second preparation says after its size."""
    said = Said()
    prepare(before, folder, earlier)
    prepare(after, folder, CONFIG, said)
    return " ".join(said.lines[1:])


def test_a_panel_whose_order_lets_nothing_be_copied_is_told_of_a_better_one(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    before, after = by_code(until(frame, 35), tmp_path / "a.parquet"), by_code(frame, tmp_path / "b.parquet")
    said = prepared_again(before, after, tmp_path / "s")
    assert said.startswith("nothing is copied from the earlier store of this market")
    assert "sorted by date" in said


def test_nothing_is_told_where_days_are_copied_or_no_earlier_store_is_of_this_market(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    others = frame.assign(Code="9" + frame["Code"])
    ordered = save(until(frame, 35), tmp_path / "ordered.parquet")
    another, whole = by_code(others, tmp_path / "another.parquet"), save(frame, tmp_path / "whole.parquet")
    assert prepared_again(ordered, whole, tmp_path / "copied") == ""
    assert prepared_again(another, whole, tmp_path / "market") == ""
    assert (
        prepared_again(by_code(frame, tmp_path / "a.parquet"), whole, tmp_path / "set", changed(CONFIG, delay=0)) == ""
    )


# --- any change

Changes = list[tuple[str, object]]
WHOLE = market_frame(num_days=45)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("cut"), st.integers(26, 44)),
        st.tuples(st.just("drop day"), st.integers(0, 44)),
        st.tuples(st.just("drop row"), st.integers(0, 200)),
        st.tuples(st.just("drop column"), st.sampled_from(["f0", "f1"])),
        st.tuples(st.just("add column"), st.sampled_from(["a", "late_a", "z"])),
        st.tuples(st.just("list 1000"), st.integers(0, 40)),
        st.tuples(st.just("list 1335"), st.integers(0, 40)),
        st.tuples(st.just("halt"), st.integers(0, 19)),
        st.tuples(st.just("new sector"), st.integers(0, 19)),
        st.tuples(st.just("new feature value"), st.integers(0, 19)),
        st.tuples(st.just("shuffle"), st.integers(0, 3)),
    ),
    max_size=2,
    unique_by=lambda change: change[0],
)
HOLD_OUTS = st.sampled_from(
    [*[{"holdout_days": 6}] * 3, {"holdout_days": 9}, {"holdout_days": 0}, {"holdout_from": DAY_29}]
)


def apply(frame: pd.DataFrame, change: tuple[str, object]) -> pd.DataFrame:
    kind, value = change
    if kind == "drop column":
        return frame.drop(columns=str(value), errors="ignore")
    if kind == "add column":
        return frame.assign(**{str(value): np.random.default_rng(2).normal(size=len(frame))})
    number = value if isinstance(value, int) else 0
    if kind == "cut":
        return until(frame, number)
    if kind == "drop day":
        return frame[frame["Date"] != days_of(WHOLE)[number]]
    if kind == "drop row":
        return frame.drop(index=frame.index[number % len(frame)])
    if kind.startswith("list"):
        return with_stock(frame, kind.split()[1], min(number, len(days_of(frame)) - 1), sector="55")
    if kind == "shuffle":
        return frame.sample(frac=1, random_state=number)
    column, other = {"halt": ("volume", 0.0), "new sector": ("sector33_code", "05")}.get(kind, ("f1", 0.25))
    return with_value(frame, column, number, other) if column in frame else frame


@settings(max_examples=40, deadline=None, derandomize=True, database=None, phases=[Phase.generate])  # shrinking is slow
@given(
    both=CHANGES,
    first=CHANGES,
    second=CHANGES,
    source=st.sampled_from(["prices", "panel"]),
    ends=st.tuples(HOLD_OUTS, HOLD_OUTS),
)
def test_any_changes_between_two_preparations_equal_a_rebuild(
    tmp_path_factory: pytest.TempPathFactory,
    both: Changes,
    first: Changes,
    second: Changes,
    source: str,
    ends: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    """Some changes are in both panels, some in either; the hold-out may change as well."""
    before = after = with_targets(WHOLE)
    for change in (*both, *first):
        before = apply(before, change)
    for change in (*both, *second):
        after = apply(after, change)
    earlier, later = (changed(CONFIG, labels={"source": source}, splits=splits) for splits in ends)
    check_frames(tmp_path_factory.mktemp("any"), before, after, later, least=0, earlier=earlier)
