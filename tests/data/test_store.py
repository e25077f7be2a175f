"""The store: mapped, never copied; opened only when it is whole and of a known version."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data.config import CorrelationGraphConfig, DataConfig, NoGraphConfig, SplitConfig
from data.errors import DataError
from data.migrations import SCHEMA_VERSION
from data.store import ARRAYS, MarketStore, read_meta


@pytest.fixture
def copy(small_store: MarketStore, tmp_path: Path) -> Path:
    """A private copy of the small store."""
    return Path(shutil.copytree(small_store.folder, tmp_path / "copy"))


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_mapped_read_only(small_store: MarketStore, name: str) -> None:
    values = getattr(small_store, name)
    assert isinstance(values, np.memmap)
    assert Path(str(values.filename)) == small_store.folder / f"{name}.npy"
    assert not values.flags.writeable


def test_the_axes_are_those_of_the_arrays(small_store: MarketStore) -> None:
    days, stocks = small_store.num_days, len(small_store.codes)
    assert (days, stocks) == (240, 24)
    assert small_store.dates.dtype == np.dtype("datetime64[D]")
    assert (np.diff(small_store.dates) > np.timedelta64(0, "D")).all()
    assert (small_store.codes[1:] > small_store.codes[:-1]).all()
    assert small_store.features.shape == (days, stocks, len(small_store.meta.features))
    assert small_store.labels.shape == (days, stocks, 2)
    assert all(getattr(small_store, name).shape[:2] == (days, stocks) for name in ARRAYS)


def test_the_types_of_the_arrays_are_small(small_store: MarketStore) -> None:
    kinds = {name: str(getattr(small_store, name).dtype) for name in ARRAYS}
    assert kinds == {
        **dict.fromkeys(("features", "labels", "returns", "volatility"), "float32"),
        **dict.fromkeys(("present", "eligible"), "bool"),
        **dict.fromkeys(("sector", "industry"), "int16"),
    }


def test_no_value_is_infinite_and_none_lies_outside_the_rows(small_store: MarketStore) -> None:
    absent = ~np.asarray(small_store.present)
    for name in ("features", "returns"):
        values = np.asarray(getattr(small_store, name))
        assert not np.isinf(values).any()
        assert np.isnan(values[absent]).all()
    assert not np.asarray(small_store.eligible)[absent].any()
    assert not np.asarray(small_store.sector)[absent].any()


def test_opening_again_gives_the_same_store(small_store: MarketStore) -> None:
    again = MarketStore.open(small_store.folder)
    assert again.meta == small_store.meta
    np.testing.assert_array_equal(again.features, small_store.features)


def test_a_store_can_be_moved(small_store: MarketStore, copy: Path) -> None:
    shutil.move(copy, copy.with_name("moved"))
    moved = MarketStore.open(copy.with_name("moved"))
    np.testing.assert_array_equal(moved.labels, small_store.labels)


def test_a_second_process_maps_the_store_without_private_memory(small_store: MarketStore) -> None:
    code = """
import sys
from pathlib import Path
from data.store import ARRAYS, MarketStore
def private():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("RssAnon"))
MarketStore.open(Path(sys.argv[1]))
before = private()
store = MarketStore.open(Path(sys.argv[1]))
total = sum(float(abs(getattr(store, name)[:100].astype("f4")).sum()) for name in ("present", "sector"))
total += sum(int(getattr(store, name).view("u1")[..., ::4096].sum()) for name in ARRAYS)
print(private() - before)
"""
    arguments = [sys.executable, "-c", code, str(small_store.folder)]
    done = subprocess.run(arguments, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1024  # KiB; the features alone are 2 MiB


def test_a_folder_without_a_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"must lie in {tmp_path}, but there is none"):
        MarketStore.open(tmp_path)


@pytest.mark.parametrize(
    ("version", "message"),
    [(SCHEMA_VERSION + 1, "made by a newer program"), (1, "no migration leads from version 1; remove")],
)
def test_a_store_of_another_version_is_refused_and_left_alone(copy: Path, version: int, message: str) -> None:
    meta = json.loads((copy / "meta.json").read_text()) | {"schema_version": version}
    (copy / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(DataError, match=message):
        MarketStore.open(copy)
    assert json.loads((copy / "meta.json").read_text()) == meta


def test_the_meta_data_can_be_read_without_the_arrays(small_store: MarketStore, copy: Path) -> None:
    for name in ARRAYS:
        (copy / f"{name}.npy").unlink()
    assert read_meta(copy) == small_store.meta


def test_the_sketch_is_that_of_the_returns(small_store: MarketStore) -> None:
    assert small_store.sketch.num_cells == np.isfinite(small_store.returns).sum()
    assert small_store.sketch.overlap(small_store.sketch).is_same_market


# --- folds and graphs


def test_the_folds_lie_on_the_stores_calendar(small_store: MarketStore, small_config: DataConfig) -> None:
    splits = small_store.splits(small_config)
    assert len({fold.train.start for fold in splits.folds}) == 1
    assert splits.folds[-1].score.stop == small_store.num_days - 5 - 1


def test_every_training_day_has_a_window_of_known_features_and_a_graph(
    small_store: MarketStore, small_config: DataConfig
) -> None:
    graphs = small_store.graphs(small_config.graph)
    assert graphs is not None
    first = small_store.splits(small_config).search.train.start
    for day in range(first, small_store.num_days):
        assert graphs.at(day)[0].shape[1] > 0
    for day in range(first - small_config.window + 1, small_store.num_days):
        assert np.isfinite(small_store.features[day][small_store.present[day]]).mean() >= 0.5


def test_a_longer_window_starts_later(small_store: MarketStore, small_config: DataConfig) -> None:
    longer = small_config.model_copy(update={"window": 60})
    assert small_store.splits(longer).search.train.start >= small_store.meta.first_known + 59


def test_without_a_graph_there_is_none_and_training_does_not_wait_for_one(
    small_store: MarketStore, small_config: DataConfig
) -> None:
    assert small_store.graphs(NoGraphConfig()) is None
    none = small_config.model_copy(update={"graph": NoGraphConfig()})
    assert small_store.splits(none).search.train.start == small_store.meta.first_known + small_config.window - 1


def test_training_waits_for_the_first_graph(copy: Path, small_config: DataConfig) -> None:
    graph = CorrelationGraphConfig(window=90, k=3)
    patient = small_config.model_copy(update={"graph": graph})
    assert MarketStore.open(copy).splits(patient).search.train.start == 90


def test_graphs_are_mapped_read_only_and_built_once(copy: Path, small_config: DataConfig) -> None:
    shutil.rmtree(copy / "graphs", ignore_errors=True)
    store = MarketStore.open(copy)
    first = store.graphs(small_config.graph)
    written = {path: path.stat().st_mtime_ns for path in (copy / "graphs").rglob("*.npy")}
    again = MarketStore.open(copy).graphs(small_config.graph)
    assert first is not None
    assert again is not None
    assert {path: path.stat().st_mtime_ns for path in (copy / "graphs").rglob("*.npy")} == written
    for values in vars(again).values():
        assert isinstance(values, np.memmap)
        assert not values.flags.writeable


@pytest.mark.parametrize("update", [{"horizons": (1, 5, 10)}, {"horizons": (1,)}, {"delay": 0}])
def test_other_labels_than_were_prepared_are_refused(
    small_store: MarketStore, small_config: DataConfig, update: dict[str, object]
) -> None:
    with pytest.raises(DataError, match=r"prepared for horizons \[1, 5\] and delay 1, but"):
        small_store.splits(small_config.model_copy(update=update))


def test_folds_longer_than_the_store_are_refused(small_store: MarketStore, small_config: DataConfig) -> None:
    longer = small_config.model_copy(update={"splits": SplitConfig(search_days=200)})
    with pytest.raises(DataError, match="of 240 before the hold-out 0 are left after"):
        small_store.splits(longer)
