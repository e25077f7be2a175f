"""Preparing: once per (bytes, settings), whole or not at all, late columns late, without a trace of the hold-out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.axes import read_axes
from data.config import (
    ColumnGroup,
    ColumnsConfig,
    CorrelationGraphConfig,
    DataConfig,
    SectorGraphConfig,
    SplitConfig,
)
from data.errors import DataError
from data.prepare import make_plan, num_bytes, prepare
from data.progress import Silent
from data.store import ARRAYS, MarketStore
from data.synthetic import SyntheticConfig, synthetic_panel

ROOT = Path(__file__).parents[2]
FEATURES = ["f0", "f1", "late_eps"]
CONFIG = DataConfig(
    horizons=(1, 3),
    window=3,
    min_stocks=3,
    columns=ColumnsConfig(features="own", groups={"late": ColumnGroup(columns=("late_*",), publication_lag=2)}),
    splits=SplitConfig(holdout_days=6),
    graph=CorrelationGraphConfig(window=10, lead_lag_window=20, k=2),
)


# --- panels that other tests of preparation share


def changed(config: DataConfig, **update: Any) -> DataConfig:
    """The config with other values; a dict reaches into a section."""
    content = config.model_dump()
    for name, value in update.items():
        content[name] = {**content[name], **value} if isinstance(value, dict) else value
    return DataConfig.model_validate(content)


def market_frame(num_days: int = 40, num_stocks: int = 8, seed: int = 0) -> pd.DataFrame:
    """A panel with prices, sectors, two features and one that is published late; some rows and values are missing."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2020-01-06", periods=num_days)
    frame = pd.DataFrame(
        {
            "Date": np.repeat(days, num_stocks),
            "Code": np.tile([f"{1300 + 10 * n}" for n in range(num_stocks)], num_days),
        }
    )
    steps = rng.normal(0, 0.01, (num_days, num_stocks))
    frame["close"] = (100 * np.exp(steps.cumsum(axis=0))).ravel()
    frame["open"] = frame["close"] * (1 + rng.normal(0, 0.002, len(frame)))
    frame["high"], frame["low"] = (
        frame[["open", "close"]].max(axis=1) * 1.01,
        frame[["open", "close"]].min(axis=1) * 0.99,
    )
    frame["volume"] = rng.integers(1000, 9000, len(frame)).astype(float)
    frame["sector33_code"] = [f"{50 + 10 * (int(code) // 10 % 3)}" for code in frame["Code"]]
    for name in FEATURES:
        frame[name] = np.where(rng.random(len(frame)) < 0.05, np.nan, rng.normal(size=len(frame)))
    return frame[rng.random(len(frame)) > 0.03].reset_index(drop=True)


def save(frame: pd.DataFrame, path: Path) -> Path:
    """One Parquet file with a row group per calendar week, so that further days leave earlier row groups alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    weeks = np.array([day.toordinal() // 7 for day in pd.to_datetime(frame["Date"])])
    with pq.ParquetWriter(path, table.schema) as writer:
        for week in np.unique(weeks):
            writer.write_table(table.filter(pa.array(weeks == week)))
    return path


def pivot(frame: pd.DataFrame, store: MarketStore, column: str) -> np.ndarray:
    """[D, N] values of a column on the store's axes, NaN where there is no row."""
    wide = frame.assign(Date=pd.to_datetime(frame["Date"])).pivot(index="Date", columns="Code", values=column)
    return wide.reindex(index=pd.to_datetime(store.dates), columns=store.codes).to_numpy(np.float64)


def feature(store: MarketStore, name: str) -> np.ndarray:
    """[D, N] of one feature."""
    return np.asarray(store.features[..., store.meta.features.index(name)])


def array_files(store: MarketStore) -> dict[str, bytes]:
    """Bytes of every array file, graphs included, by their path."""
    return {str(path.relative_to(store.folder)): path.read_bytes() for path in store.folder.rglob("*.npy")}


def assert_same_arrays(a: MarketStore, b: MarketStore) -> None:
    """The same arrays, byte for byte."""
    for name in (*ARRAYS, "bars"):
        assert (a.folder / f"{name}.npy").read_bytes() == (b.folder / f"{name}.npy").read_bytes(), name


def finished(prepared: Path) -> list[Path]:
    """What a caller would take for prepared stores."""
    return [path.parent for path in prepared.glob("*/meta.json") if not path.parent.name.startswith(".")]


def leftovers(prepared: Path) -> list[Path]:
    """Folders that are no finished store."""
    return [path for path in prepared.iterdir() if path.is_dir() and path not in finished(prepared)]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return market_frame()


@pytest.fixture(scope="module")
def panel(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(frame, tmp_path_factory.mktemp("panel") / "panel.parquet")


@pytest.fixture(scope="module")
def store(panel: Path, tmp_path_factory: pytest.TempPathFactory) -> MarketStore:
    return prepare(panel, tmp_path_factory.mktemp("prepared"), CONFIG)


# --- what a store holds


def test_every_value_lies_at_its_day_stock_and_column(store: MarketStore, frame: pd.DataFrame) -> None:
    for name in ("f0", "f1"):
        np.testing.assert_array_equal(feature(store, name), pivot(frame, store, name).astype(np.float32))
    bars = np.load(store.folder / "bars.npy")
    for number, role in enumerate(store.meta.bars):
        np.testing.assert_array_equal(bars[..., number], pivot(frame, store, role))
    np.testing.assert_array_equal(store.present, np.isfinite(pivot(frame, store, "close")))


def test_returns_are_log_returns_of_the_closes(store: MarketStore, frame: pd.DataFrame) -> None:
    log_close = np.log(pivot(frame, store, "close"))
    np.testing.assert_allclose(store.returns[1:], np.diff(log_close, axis=0), rtol=1e-5, atol=1e-7)
    assert np.isnan(store.returns[0]).all()


def test_the_meta_names_axes_settings_and_keys(store: MarketStore, panel: Path, frame: pd.DataFrame) -> None:
    plan, meta = make_plan(panel, CONFIG), store.meta
    assert meta.codes == sorted(frame["Code"].unique())
    assert meta.features == FEATURES
    assert meta.lags == {"": 0, "late": 2}
    assert meta.vocabularies == {"sector": ["50", "60", "70"]}
    assert (tuple(meta.horizons), meta.delay) == (CONFIG.horizons, CONFIG.delay)
    assert (meta.panel_key, meta.settings_key) == (plan.panel_key, plan.settings_key)
    assert meta.store_key == plan.store_key == store.folder.name


def test_a_store_holds_no_scratch_file(store: MarketStore) -> None:
    arrays = {path.stem for path in store.folder.glob("*.npy")}
    assert arrays == {*ARRAYS, "bars"}


@pytest.mark.parametrize("memory_mib", [1, 64])
def test_the_memory_setting_changes_no_byte(store: MarketStore, panel: Path, tmp_path: Path, memory_mib: int) -> None:
    other = prepare(panel, tmp_path, CONFIG, memory_mib=memory_mib)
    assert_same_arrays(other, store)
    assert other.meta == store.meta


def test_rows_in_any_order_make_the_same_arrays(store: MarketStore, frame: pd.DataFrame, tmp_path: Path) -> None:
    rows = frame.sample(frac=1, random_state=1)
    pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), tmp_path / "p.parquet", row_group_size=37)
    shuffled = prepare(tmp_path / "p.parquet", tmp_path / "prepared", CONFIG, memory_mib=1)
    assert_same_arrays(shuffled, store)


# --- publication lag


def lagged(known: np.ndarray, values: np.ndarray, lag: int) -> np.ndarray:
    """What may be known: the value of `lag` days ago, where the stock has a row on both days."""
    out = np.full(values.shape, np.nan)
    out[lag:] = values[: len(values) - lag]
    return np.where(known, out, np.nan).astype(np.float32)


@pytest.mark.parametrize("lag", [0, 1, 2, 5, 30])
def test_a_late_value_is_visible_exactly_lag_trading_days_later(frame: pd.DataFrame, tmp_path: Path, lag: int) -> None:
    config = changed(CONFIG, columns={"groups": {"late": {"columns": ("late_*",), "publication_lag": lag}}})
    store = prepare(save(frame, tmp_path / "p.parquet"), tmp_path / "prepared", config)
    expected = lagged(np.asarray(store.present), pivot(frame, store, "late_eps"), lag)
    np.testing.assert_array_equal(feature(store, "late_eps"), expected)


def test_a_late_value_is_missing_where_its_own_row_was_missing(frame: pd.DataFrame, tmp_path: Path) -> None:
    day = sorted(frame["Date"].unique())[10]
    without = frame[~((frame["Date"] == day) & (frame["Code"] == "1320"))]
    store = prepare(save(without, tmp_path / "p.parquet"), tmp_path / "prepared", CONFIG)
    stock = store.meta.codes.index("1320")
    assert not store.present[10, stock]
    assert store.present[12, stock]
    assert np.isnan(feature(store, "late_eps")[12, stock])


@pytest.mark.parametrize("lag", [34, 39, 200])
def test_a_lag_longer_than_the_panel_leaves_nothing_known_and_is_refused(panel: Path, tmp_path: Path, lag: int) -> None:
    config = changed(CONFIG, columns={"groups": {"late": {"columns": ("late_*",), "publication_lag": lag}}})
    with pytest.raises(DataError, match=r"a feature must hold values\. late_eps: \d+ null rows? \(first: "):
        prepare(panel, tmp_path, config)


def test_two_groups_have_their_own_lags(frame: pd.DataFrame, tmp_path: Path) -> None:
    groups = {
        "late": {"columns": ("late_*",), "publication_lag": 3},
        "early": {"columns": ("f0",), "publication_lag": 1},
    }
    store = prepare(save(frame, tmp_path / "p"), tmp_path / "s", changed(CONFIG, columns={"groups": groups}))
    present = np.asarray(store.present)
    assert store.meta.features == ["f1", "late_eps", "f0"]
    for name, lag in (("f1", 0), ("late_eps", 3), ("f0", 1)):
        np.testing.assert_array_equal(feature(store, name), lagged(present, pivot(frame, store, name), lag))


# --- the hold-out

SECRETS = {"f0": 123456.7, "late_eps": 765432.1, "volume": 8765432.0}


def with_secrets(frame: pd.DataFrame) -> pd.DataFrame:
    """The hold-out's rows get values, a stock and a sector that occur nowhere else."""
    days = sorted(frame["Date"].unique())[-6:]
    out, held = frame.copy(), frame["Date"].isin(days)
    for name, value in SECRETS.items():
        out.loc[held, name] = value
    out.loc[held, "sector33_code"] = "SECRETSECTOR"
    out.loc[held & (out["Code"] == "1320"), "Code"] = "SECRETCODE"
    return out


def test_no_file_of_a_store_holds_a_byte_of_the_hold_out(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = prepare(save(with_secrets(frame), tmp_path / "p.parquet"), tmp_path / "prepared", CONFIG)
    secrets = [b"SECRET", "SECRET".encode("utf-32-le")]
    secrets += [kind(value).tobytes() for value in SECRETS.values() for kind in (np.float32, np.float64)]
    for path in (path for path in (tmp_path / "prepared").rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".npz":
            content = b"".join(values.tobytes() for values in np.load(path).values())
        assert [secret for secret in secrets if secret in content] == [], path.name
    assert store.meta.vocabularies == {"sector": ["50", "60", "70"]}


def test_the_hold_outs_days_and_stocks_are_not_on_the_axes(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = prepare(save(with_secrets(frame), tmp_path / "p.parquet"), tmp_path / "prepared", CONFIG)
    days = sorted(pd.to_datetime(frame["Date"]).unique())
    assert store.num_days == 34
    assert all(getattr(store, name).shape[:2] == (34, 8) for name in ARRAYS)
    assert store.meta.holdout_from == str(days[34].date())
    assert store.meta.market["last_date"] == store.meta.dates[-1] == str(days[33].date())


def test_what_happens_in_the_hold_out_changes_no_array(store: MarketStore, frame: pd.DataFrame, tmp_path: Path) -> None:
    other = prepare(save(with_secrets(frame), tmp_path / "p.parquet"), tmp_path / "prepared", CONFIG)
    assert_same_arrays(other, store)
    assert other.meta.panel_key != store.meta.panel_key
    assert other.meta.market == store.meta.market


def test_a_users_target_that_looks_into_the_hold_out_is_not_in_the_store(frame: pd.DataFrame, tmp_path: Path) -> None:
    """The target of the last day before it is a return of the hold-out's own days."""
    for horizon in CONFIG.horizons:
        closes = frame.groupby("Code")["close"]
        frame = frame.assign(**{f"target_{horizon}d": closes.shift(-horizon) / frame["close"] - 1})
    config = changed(CONFIG, labels={"source": "panel"})
    store = prepare(save(frame, tmp_path / "p.parquet"), tmp_path / "prepared", config)
    assert np.isfinite(store.labels[: 34 - 4]).any()
    for number, horizon in enumerate(CONFIG.horizons):
        assert np.isnan(store.labels[34 - horizon :, :, number]).all(), f"horizon {horizon}"


def test_a_pinned_first_day_overrides_the_count(panel: Path, tmp_path: Path) -> None:
    store = prepare(panel, tmp_path, changed(CONFIG, splits={"holdout_from": "2020-02-01"}))
    assert store.meta.dates[-1] == "2020-01-31"
    assert store.meta.holdout_from == "2020-02-03"


def test_without_a_hold_out_every_day_is_there(panel: Path, tmp_path: Path) -> None:
    store = prepare(panel, tmp_path, changed(CONFIG, splits={"holdout_days": 0}))
    assert (store.num_days, store.meta.holdout_from) == (40, None)


# --- once


class Said(Silent):
    """A progress that remembers its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_a_second_call_reads_and_writes_nothing(panel: Path, tmp_path: Path) -> None:
    first = prepare(panel, tmp_path, CONFIG)
    before = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    said = Said()
    assert prepare(panel, tmp_path, CONFIG, said).folder == first.folder
    assert said.lines == []
    assert {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")} == before


def test_size_and_disk_are_said_before_the_work(panel: Path, tmp_path: Path) -> None:
    said = Said()
    prepare(panel, tmp_path, CONFIG, said)
    num_rows = pq.read_metadata(panel).num_rows
    assert said.lines == [f"{num_rows} rows become 34 days x 8 stocks x 3 features, 0.00 GiB on disk"]


def test_days_that_are_copied_are_said_with_the_size(panel: Path, tmp_path: Path) -> None:
    said = Said()
    prepare(panel, tmp_path, changed(CONFIG, splits={"holdout_days": 9}))
    prepare(panel, tmp_path, CONFIG, said)
    assert said.lines[0].endswith(" x 3 features, 0.00 GiB on disk; 31 days copied from an earlier store")


GRAPHS: dict[str, dict[str, Any]] = {
    "correlation": {"graph": {"kind": "correlation"}},
    "dense": {"graph": {"kind": "correlation", "window": 20, "refresh_days": 1, "min_correlation": -1}},
    "none": {"graph": {"kind": "none"}},
    "sector": {"graph": {"kind": "sector"}},
    "daily sector": {"graph": {"kind": "sector", "k": 16, "refresh_days": 1}},
}


@pytest.mark.parametrize("horizons", [(1,), (1, 5, 10, 20)])
@pytest.mark.parametrize("graph", GRAPHS)
def test_the_size_that_is_said_is_what_store_targets_and_graph_take(
    large_panel: Path, tmp_path: Path, graph: str, horizons: tuple[int, ...]
) -> None:
    config = DataConfig.model_validate({"horizons": horizons, "splits": {"holdout_days": 20}} | GRAPHS[graph])
    plan = make_plan(large_panel, config)
    said = num_bytes(plan, read_axes(plan.source, plan.columns, config))
    store = prepare(large_panel, tmp_path, config)
    store.graphs(config.graph)
    store.targets(config.labels)
    taken = sum(path.stat().st_size for path in store.folder.rglob("*") if path.is_file())
    assert taken <= said <= 1.5 * taken + (1 << 20)


CHILD = """
import resource, sys, time
from pathlib import Path
from data.config import DataConfig
from data.errors import DataError
from data.prepare import prepare
from data.progress import Silent

class Said(Silent):
    def say(self, text):
        print("said", text, flush=True)

panel, prepared, config, limit, go = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
print("ready", flush=True)
while go and not Path(go).exists():
    time.sleep(0.001)
try:
    print("store", prepare(Path(panel), Path(prepared), DataConfig.model_validate_json(config), Said()).folder)
except DataError as error:
    print("refused", error)
"""


def child(panel: Path, prepared: Path, config: DataConfig, limit: int = 0, go: str = "") -> subprocess.Popen[str]:
    """Another process that prepares; files beyond `limit` bytes fail in it, and it waits for the file `go`."""
    arguments = [str(panel), str(prepared), config.model_dump_json(), str(limit), go]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def large_panel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes about a second to prepare."""
    return synthetic_panel(tmp_path_factory.mktemp("large"), SyntheticConfig(num_stocks=150, num_days=500))


LARGE = DataConfig(horizons=(1, 5), splits=SplitConfig(holdout_days=20))


def test_two_processes_at_once_build_one_store(large_panel: Path, tmp_path: Path) -> None:
    both = [child(large_panel, tmp_path / "s", LARGE, go=str(tmp_path / "go")) for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    (tmp_path / "go").touch()
    answers = [answer(process).splitlines() for process in both]
    assert sum("rows become" in line for lines in answers for line in lines) == 1
    assert [lines[-1] for lines in answers] == [f"store {finished(tmp_path / 's')[0]}"] * 2
    assert leftovers(tmp_path / "s") == []


@pytest.mark.parametrize("stage", ["features", "returns", "labels"])
def test_a_killed_preparation_leaves_nothing_finished_and_the_next_one_works(
    large_panel: Path, tmp_path: Path, stage: str
) -> None:
    process = child(large_panel, tmp_path, LARGE)
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob(f".*.tmp/{stage}.npy")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    process.communicate()
    assert finished(tmp_path) == []
    assert len(leftovers(tmp_path)) == 1
    assert prepare(large_panel, tmp_path, LARGE).num_days == 480
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("limit", [400, 4000, 8000])
def test_a_full_disk_is_one_message_and_leaves_nothing(panel: Path, tmp_path: Path, limit: int) -> None:
    """The limits fail an early array, a late one, and the meta data that are written last."""
    lines = answer(child(panel, tmp_path / "s", CONFIG, limit)).splitlines()
    assert lines[-1].startswith(
        f"refused preparing needs more room than {tmp_path / 's'} has: File too large. Free some"
    )
    assert not (tmp_path / "s").exists()


def test_a_panel_that_no_disk_can_hold_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """One row for each of 300,000 stocks on 30,000 days is a small file and a store of four terabytes."""
    count = 300_000
    days = np.datetime64("1970-01-01") + np.arange(count) % 30_000
    bars = dict.fromkeys(["open", "high", "low", "close", "volume"], np.ones(count, np.float32))
    pq.write_table(pa.table({"date": days, "code": [str(n) for n in range(count)], **bars}), tmp_path / "p.parquet")
    config = DataConfig()
    said = answer(child(tmp_path / "p.parquet", tmp_path / "s", config, limit=1 << 20))  # should it write all the same
    assert re.search(r"refused preparing needs [\d.]+ GiB of disk, but .* GiB free\. Free some, or choose", said)
    assert not (tmp_path / "s").exists()


MEMORY_CHILD = """
import sys, threading
from pathlib import Path
from data.config import ColumnsConfig, DataConfig
from data.prepare import prepare

def private():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("RssAnon"))

peak, done = [0], threading.Event()
def watch():
    while not done.wait(0.004):
        peak[0] = max(peak[0], private())

before = private()
threading.Thread(target=watch, daemon=True).start()
config = DataConfig(columns=ColumnsConfig(features="own"))
prepare(Path(sys.argv[1]), Path(sys.argv[2]), config, memory_mib=24)
done.set()
print((peak[0] - before) // 1024)
"""


def test_peak_memory_does_not_grow_with_the_panel(tmp_path: Path) -> None:
    """Four times the days are 90 MB more to hold for whoever holds them; we allow 30."""
    peaks = []
    for num_days in (600, 2400):
        path, rng, num_stocks = tmp_path / f"{num_days}.parquet", np.random.default_rng(0), 100
        with pq.ParquetWriter(path, wide_table(rng, 0, 1, num_stocks).schema) as writer:
            for first in range(0, num_days, 100):
                writer.write_table(wide_table(rng, first, 100, num_stocks))
        arguments = [sys.executable, "-c", MEMORY_CHILD, str(path), str(tmp_path / f"{num_days}")]
        done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 30, peaks


def wide_table(rng: np.random.Generator, first: int, num_days: int, num_stocks: int) -> pa.Table:
    """`num_days` days of 125 random features and a close."""
    days = np.datetime64("2015-01-01") + first + np.arange(num_days)
    count = num_days * num_stocks
    columns: dict[str, Any] = {"date": np.repeat(days, num_stocks)}
    columns["code"] = np.tile([f"{n:04d}" for n in range(num_stocks)], num_days)
    columns["close"] = rng.uniform(90, 110, count)
    values = rng.normal(size=(125, count)).astype(np.float32)
    return pa.table(columns | {f"f{number}": row for number, row in enumerate(values)})


# --- panels without prices or returns


def test_features_and_targets_of_ones_own_with_sectors_alone_become_a_store_with_a_sector_graph(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    rng = np.random.default_rng(2)
    targets = {f"target_{horizon}d": rng.normal(0, 0.01, len(frame)) for horizon in CONFIG.horizons}
    bare = frame.drop(columns=["open", "high", "low", "close", "volume"]).assign(**targets)
    graph = SectorGraphConfig(k=4, refresh_days=3)
    store = prepare(save(bare, tmp_path / "p.parquet"), tmp_path / "s", CONFIG.model_copy(update={"graph": graph}))
    assert np.isnan(store.returns).all()
    assert np.isfinite(store.labels[:-4][store.present[:-4]]).all()
    graphs = store.graphs(graph)
    assert graphs is not None
    assert graphs.mean_degree > 0
    for day in range(graphs.first_day, store.num_days, graph.refresh_days):
        (source, target), attr = graphs.at(day)
        assert len(source) > 0
        assert (store.sector[day, source] == store.sector[day, target]).all()
        np.testing.assert_array_equal(attr, np.tile(np.float32([0, 0, 1, 0]), (len(source), 1)))


# --- refusals


def test_too_few_stocks_are_refused_with_their_number(panel: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 9 stocks to rank, but this one has 8"):
        prepare(panel, tmp_path, changed(CONFIG, min_stocks=9))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("holdout_days", [33, 40, 1000])
def test_too_few_days_are_refused_with_their_number(panel: Path, tmp_path: Path, holdout_days: int) -> None:
    with pytest.raises(DataError, match=r"a panel needs (more days than hold-out|at least 3 stocks)"):
        prepare(panel, tmp_path, changed(CONFIG, splits={"holdout_days": holdout_days}))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def refused(frame: pd.DataFrame, tmp_path: Path) -> Path:
    """A panel with a row that is there twice."""
    return save(pd.concat([frame, frame.iloc[[5]]]), tmp_path / "refused.parquet")


REFUSAL = r"\(date, code\) must be unique\. Date, Code: 1 row \(first: 2020-01-06"


def test_a_refused_panel_leaves_nothing_not_even_the_folders_that_were_made_for_it(
    refused: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=REFUSAL):
        prepare(refused, tmp_path / "deep" / "runs" / "prepared", CONFIG)
    assert list(tmp_path.iterdir()) == [refused]


def test_a_refused_panel_leaves_the_folders_and_the_stores_that_were_there(
    panel: Path, refused: Path, tmp_path: Path
) -> None:
    (tmp_path / "runs" / "empty").mkdir(parents=True)
    with pytest.raises(DataError, match=REFUSAL):
        prepare(refused, tmp_path / "runs" / "empty" / "prepared", CONFIG)
    with pytest.raises(DataError, match=REFUSAL):
        prepare(refused, tmp_path / "runs" / "empty", CONFIG)
    assert list((tmp_path / "runs").rglob("*")) == [tmp_path / "runs" / "empty"]
    store = prepare(panel, tmp_path / "runs", CONFIG)
    before = sorted((tmp_path / "runs").rglob("*"))
    with pytest.raises(DataError, match=REFUSAL):
        prepare(refused, tmp_path / "runs", CONFIG)
    assert sorted((tmp_path / "runs").rglob("*")) == before
    assert MarketStore.open(store.folder).meta == store.meta


def test_two_processes_at_once_are_both_refused_and_leave_nothing(large_panel: Path, tmp_path: Path) -> None:
    table = pq.read_table(large_panel)
    pq.write_table(pa.concat_tables([table, table.slice(9, 1)]), tmp_path / "p.parquet")
    go = str(tmp_path / "go")
    both = [child(tmp_path / "p.parquet", tmp_path / "s", LARGE, go=go) for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    (tmp_path / "go").touch()
    for process in both:
        assert answer(process).splitlines()[-1].startswith("refused (date, code) must be unique. date, code: 1 row")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["go", "p.parquet"]


def test_a_stricter_inspection_refuses_a_store_that_a_lenient_one_let_pass(frame: pd.DataFrame, tmp_path: Path) -> None:
    tomorrow = frame.groupby("Code")["close"].shift(-1) / frame["close"]
    path = save(frame.assign(f1=tomorrow), tmp_path / "p.parquet")
    prepare(path, tmp_path / "s", changed(CONFIG, inspection={"allow_leaks": ("f1",)}))
    with pytest.raises(DataError, match="no feature may be a forward return"):
        prepare(path, tmp_path / "s", CONFIG)


def test_a_folder_that_cannot_be_made_is_refused(panel: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="prepared markets need a folder that can be written"):
        prepare(panel, tmp_path / "file" / "prepared", CONFIG)


def test_what_the_inspection_doubts_is_kept_with_the_store(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = prepare(save(frame.assign(f1=1.0), tmp_path / "p.parquet"), tmp_path / "s", CONFIG)
    assert any("should vary" in doubt for doubt in store.meta.doubts)
    found = json.loads((store.folder / "findings.json").read_text())
    assert ("constant", "f1") in {(finding["check"], finding["column"]) for finding in found}
