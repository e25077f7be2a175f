"""Preparing: once per (bytes, settings), whole or not at all, without a trace of the hold-out."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import data.prepare
from data.config import CorrelationGraphConfig, DataConfig, NoGraphConfig
from data.errors import DataError
from data.features import FEATURES, compute_features
from data.labels import forward_returns
from data.panel import Panel, panel_key, read_panel
from data.prepare import prepare, store_key
from data.store import ARRAYS, MarketStore
from tests.data.helpers import with_column, write

ROOT = Path(__file__).parents[2]


def changed(config: DataConfig, **update: Any) -> DataConfig:
    """The config with other values in its own fields, `splits__x` and `graph__x` reaching into the sections."""
    nested: dict[str, dict[str, Any]] = {}
    flat: dict[str, Any] = {}
    for name, value in update.items():
        section, _, field = name.partition("__")
        if field:
            nested.setdefault(section, {})[field] = value
        else:
            flat[name] = value
    sections = {name: getattr(config, name).model_copy(update=fields) for name, fields in nested.items()}
    return config.model_copy(update=flat | sections)


def assert_same_arrays(a: MarketStore, b: MarketStore) -> None:
    """Every array and every graph is equal, missing values included."""
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    assert a.graphs is not None
    assert b.graphs is not None
    for name, values in vars(a.graphs).items():
        np.testing.assert_array_equal(getattr(b.graphs, name), values, err_msg=name)


def finished_folders(prepared: Path) -> list[Path]:
    """What a caller would take for a prepared store."""
    return [path.parent for path in prepared.rglob("meta.json")]


# --- what a store holds


def test_the_arrays_are_the_features_and_labels_of_the_cut_panel(
    small_store: MarketStore, market: Panel, small_config: DataConfig
) -> None:
    cut = market.until(240)
    features = np.empty((*cut.observed.shape, len(FEATURES)), np.float32)
    compute_features(cut, features)
    np.testing.assert_array_equal(small_store.features, features)
    labels = forward_returns(cut.prices["close"], small_config.horizons, small_config.delay)
    np.testing.assert_array_equal(small_store.labels, labels)
    np.testing.assert_array_equal(small_store.observed, cut.observed)


def test_the_meta_names_axes_settings_and_keys(
    small_store: MarketStore, small_panel: Path, market: Panel, small_config: DataConfig
) -> None:
    meta = small_store.meta
    assert (meta.codes, meta.features) == (market.codes.tolist(), list(FEATURES))
    assert (tuple(meta.horizons), meta.delay) == (small_config.horizons, small_config.delay)
    assert meta.panel_key == panel_key(small_panel)
    assert meta.store_key == store_key(meta.panel_key, small_config) == small_store.folder.name
    assert meta.market["num_codes"] == 24


def test_every_day_from_the_first_training_day_on_has_a_window_and_a_graph(
    small_store: MarketStore, small_config: DataConfig
) -> None:
    assert small_store.graphs is not None
    first = small_store.splits(small_config).search.train.start
    assert first >= small_config.window - 1
    for day in range(first, small_store.num_days):
        assert small_store.graphs.at(day)[0].shape[1] > 0
        for row in range(day - small_config.window + 1, day + 1):
            assert np.isfinite(small_store.features[row][small_store.observed[row]]).mean() >= 0.5


def test_training_waits_for_the_first_graph(small_panel: Path, small_config: DataConfig, tmp_path: Path) -> None:
    config = changed(small_config, graph__window=90)
    assert prepare(small_panel, tmp_path, config).splits(config).search.train.start == 90


def test_without_a_graph_none_is_written(small_panel: Path, small_config: DataConfig, tmp_path: Path) -> None:
    store = prepare(small_panel, tmp_path, changed(small_config, graph=NoGraphConfig()))
    assert store.graphs is None
    assert store.meta.mean_degree is None


# --- the hold-out


def test_the_hold_outs_days_are_not_in_the_arrays(small_store: MarketStore, market: Panel) -> None:
    assert small_store.num_days == len(market.dates) - 20 == 240
    assert all(len(getattr(small_store, name)) == 240 for name in ARRAYS)
    assert small_store.graphs is not None
    assert len(small_store.graphs.graph_of) == 240
    assert small_store.meta.holdout_from == str(market.dates[240])
    assert small_store.dates[-1] < np.datetime64(small_store.meta.holdout_from)


def test_prices_within_the_hold_out_change_no_array(
    small_store: MarketStore, small_panel: Path, small_config: DataConfig, tmp_path: Path
) -> None:
    table = pq.read_table(small_panel)
    held_out = table["date"].to_numpy() >= np.datetime64(small_store.meta.holdout_from)
    for name in ("open", "high", "low", "close", "volume"):
        table = with_column(table, name, table[name].to_numpy() * np.where(held_out, 1.5, 1.0).astype(np.float32))
    other = prepare(write(table, tmp_path / "panel.parquet"), tmp_path / "prepared", small_config)
    assert other.meta.panel_key != small_store.meta.panel_key
    assert_same_arrays(other, small_store)


def test_prices_before_the_hold_out_do_change_the_arrays(
    small_store: MarketStore, small_panel: Path, small_config: DataConfig, tmp_path: Path
) -> None:
    table = pq.read_table(small_panel)
    last = table["date"].to_numpy() == small_store.dates[-1]
    close = table["close"].to_numpy() * np.where(last, 1.5, 1.0).astype(np.float32)
    other = prepare(write(with_column(table, "close", close), tmp_path / "p.parquet"), tmp_path / "s", small_config)
    assert not np.array_equal(other.features, small_store.features, equal_nan=True)
    assert not np.array_equal(other.labels, small_store.labels, equal_nan=True)


def test_without_a_hold_out_every_day_is_there(small_panel: Path, small_config: DataConfig, tmp_path: Path) -> None:
    store = prepare(small_panel, tmp_path, changed(small_config, splits__holdout_days=0))
    assert store.num_days == 260
    assert store.meta.holdout_from is None


# --- keys


OTHER_SETTINGS: dict[str, Any] = {
    "horizons": (1, 6),
    "delay": 0,
    "splits__holdout_days": 21,
    "graph": NoGraphConfig(),
    "graph__window": 21,
    "graph__lead_lag_window": 61,
    "graph__k": 4,
    "graph__min_correlation": 0.1,
    "graph__refresh_days": 6,
}


def test_the_settings_tried_cover_the_whole_graph_section() -> None:
    tried = {name.removeprefix("graph__") for name in OTHER_SETTINGS if name.startswith("graph__")}
    assert tried == set(CorrelationGraphConfig.model_fields) - {"kind"}


@pytest.mark.parametrize("name", OTHER_SETTINGS)
def test_another_setting_makes_another_key(small_config: DataConfig, name: str) -> None:
    other = changed(small_config, **{name: OTHER_SETTINGS[name]})
    assert store_key("panel", other) != store_key("panel", small_config)


def test_another_panel_makes_another_key(small_config: DataConfig) -> None:
    assert store_key("panel", small_config) != store_key("other", small_config)


def test_settings_that_touch_no_array_share_the_store(small_config: DataConfig) -> None:
    other = changed(small_config, clip=3.0, splits__search_days=30, splits__embargo_days=2)
    assert store_key("panel", other) == store_key("panel", small_config)


@pytest.mark.parametrize(("first", "second"), [(5, 40), (40, 5)])
def test_the_folds_of_a_window_do_not_depend_on_which_window_was_prepared_first(
    small_panel: Path, small_config: DataConfig, tmp_path: Path, first: int, second: int
) -> None:
    config = changed(small_config, window=second)
    prepare(small_panel, tmp_path / "shared", changed(small_config, window=first))
    shared = prepare(small_panel, tmp_path / "shared", config)
    alone = prepare(small_panel, tmp_path / "alone", config)
    assert shared.splits(config) == alone.splits(config)


def test_a_new_column_changes_the_bytes_but_not_the_market(
    small_store: MarketStore, small_panel: Path, small_config: DataConfig, tmp_path: Path
) -> None:
    table = pq.read_table(small_panel)
    wider = write(table.append_column("mood", pa.array(np.ones(len(table)))), tmp_path / "wider.parquet")
    store = prepare(wider, tmp_path / "prepared", small_config)
    assert store.meta.store_key != small_store.meta.store_key
    assert store.meta.market == small_store.meta.market
    assert_same_arrays(store, small_store)


# --- once


def test_a_second_call_reuses_the_store(small_panel: Path, small_config: DataConfig, tmp_path: Path) -> None:
    said: list[str] = []
    first = prepare(small_panel, tmp_path, small_config, said.append)
    meta = first.folder / "meta.json"
    written, told = meta.stat().st_mtime_ns, len(said)
    second = prepare(small_panel, tmp_path, small_config, said.append)
    assert second.folder == first.folder
    assert meta.stat().st_mtime_ns == written
    assert len(said) == told > 0


def test_preparing_twice_from_nothing_gives_equal_arrays(
    small_store: MarketStore, small_panel: Path, small_config: DataConfig, tmp_path: Path
) -> None:
    again = prepare(small_panel, tmp_path, small_config)
    assert again.folder != small_store.folder
    assert_same_arrays(again, small_store)


def test_two_threads_at_once_build_once(
    small_panel: Path, small_config: DataConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []
    start, stores = Barrier(3), []

    def slow_read(path: Path) -> Panel:
        reads.append(path)
        time.sleep(0.2)
        return read_panel(path)

    def work() -> None:
        start.wait()
        stores.append(prepare(small_panel, tmp_path, small_config))

    monkeypatch.setattr(data.prepare, "read_panel", slow_read)
    threads = [Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1
    assert len({store.folder for store in stores}) == 1
    assert len(stores) == 3


OTHER_PROCESS = """
import os, sys, time
from pathlib import Path
import data.prepare
from data.config import DataConfig

panel, prepared, config, signal, then = sys.argv[1:]
build = data.prepare.build_graphs

def slow_or_fatal(*args):
    Path(signal).touch()
    if then == "die":
        os._exit(9)
    time.sleep(0.5)
    return build(*args)

data.prepare.build_graphs = slow_or_fatal
data.prepare.prepare(Path(panel), Path(prepared), DataConfig.model_validate_json(config))
"""


def other_process(panel: Path, prepared: Path, config: DataConfig, signal: Path, then: str) -> subprocess.Popen[bytes]:
    """A process that prepares the panel; it has begun when `signal` exists, then waits or dies as if killed."""
    arguments = [str(panel), str(prepared), config.model_dump_json(), str(signal), then]
    return subprocess.Popen([sys.executable, "-c", OTHER_PROCESS, *arguments], cwd=ROOT)


def wait_for(signal: Path) -> None:
    deadline = time.monotonic() + 30
    while not signal.exists():
        assert time.monotonic() < deadline, "the other process never began"
        time.sleep(0.01)


def test_a_second_process_waits_for_the_first_and_reuses_its_store(
    small_panel: Path, small_config: DataConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = other_process(small_panel, tmp_path, small_config, tmp_path / "begun", "go on")
    wait_for(tmp_path / "begun")
    monkeypatch.setattr(data.prepare, "read_panel", None)
    store = prepare(small_panel, tmp_path, small_config)
    assert process.wait(timeout=30) == 0
    assert finished_folders(tmp_path) == [store.folder]


def test_a_killed_preparation_leaves_nothing_finished_and_does_not_block_the_next(
    small_store: MarketStore, small_panel: Path, small_config: DataConfig, tmp_path: Path
) -> None:
    process = other_process(small_panel, tmp_path, small_config, tmp_path / "begun", "die")
    assert process.wait(timeout=30) == 9
    assert finished_folders(tmp_path) == []
    assert_same_arrays(prepare(small_panel, tmp_path, small_config), small_store)


def test_a_failing_preparation_leaves_nothing_behind(
    small_store: MarketStore,
    small_panel: Path,
    small_config: DataConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of luck")

    with monkeypatch.context() as patch:
        patch.setattr(data.prepare, "build_graphs", fail)
        with pytest.raises(RuntimeError, match="out of luck"):
            prepare(small_panel, tmp_path, small_config)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
    assert_same_arrays(prepare(small_panel, tmp_path, small_config), small_store)


# --- refusals


TOO_SMALL: dict[str, tuple[dict[str, Any], str]] = {
    "stocks": ({"min_stocks": 25}, "at least 25 stocks to rank, but this one has 24"),
    "days": ({"splits__holdout_days": 244}, r"hold-out 244 \+ window 10 \+ purge 6, but this one has 260"),
    "graph history": ({"graph__window": 250}, "returns of 250 days move together, but no day of the 240"),
}


@pytest.mark.parametrize("case", TOO_SMALL)
def test_a_panel_that_is_too_small_is_refused_with_its_numbers(
    small_panel: Path, small_config: DataConfig, tmp_path: Path, case: str
) -> None:
    update, message = TOO_SMALL[case]
    with pytest.raises(DataError, match=message):
        prepare(small_panel, tmp_path, changed(small_config, **update))
    assert finished_folders(tmp_path) == []


def test_a_panel_whose_usual_day_is_nearly_empty_is_refused(
    small_panel: Path, small_config: DataConfig, tmp_path: Path
) -> None:
    table = pq.read_table(small_panel)
    kept = np.random.default_rng(0).random(len(table)) < 0.25
    sparse = write(table.filter(pa.array(kept)), tmp_path / "sparse.parquet")
    with pytest.raises(DataError, match=r"usual day must have at least 10 stocks, but the median day has \d\."):
        prepare(sparse, tmp_path / "prepared", small_config)


def test_a_refused_panel_is_refused_by_its_own_reason(small_config: DataConfig, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must exist"):
        prepare(tmp_path / "nowhere.parquet", tmp_path / "prepared", small_config)
