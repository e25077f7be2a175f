"""The store: mapped, never copied; opened only when it is whole and of a known version."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.config import DataConfig, SplitConfig
from data.errors import DataError
from data.migrations import SCHEMA_VERSION
from data.panel import Panel
from data.store import ARRAYS, MarketStore
from tests.data.helpers import copied_store


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_mapped_read_only(small_store: MarketStore, name: str) -> None:
    values = getattr(small_store, name)
    assert isinstance(values, np.memmap)
    assert Path(str(values.filename)) == small_store.folder / f"{name}.npy"
    assert not values.flags.writeable


def test_graphs_are_mapped_read_only(small_store: MarketStore) -> None:
    for values in vars(small_store.graphs).values():
        assert isinstance(values, np.memmap)
        assert not values.flags.writeable


def test_the_axes_are_those_of_the_arrays(small_store: MarketStore, market: Panel) -> None:
    np.testing.assert_array_equal(small_store.dates, market.dates[:240])
    np.testing.assert_array_equal(small_store.codes, market.codes)
    assert small_store.num_days == 240
    assert small_store.features.shape == (240, 24, len(small_store.meta.features))
    assert small_store.labels.shape == (240, 24, 2)
    assert small_store.observed.shape == (240, 24)


def test_opening_again_gives_the_same_store(small_store: MarketStore) -> None:
    again = MarketStore.open(small_store.folder)
    assert again.meta == small_store.meta
    np.testing.assert_array_equal(again.features, small_store.features)


def test_a_folder_without_a_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"must lie in {tmp_path}, but there is none"):
        MarketStore.open(tmp_path)


def test_a_store_of_a_newer_program_is_refused_and_left_alone(small_store: MarketStore, tmp_path: Path) -> None:
    folder = copied_store(small_store, tmp_path / "newer").folder
    meta = json.loads((folder / "meta.json").read_text()) | {"schema_version": SCHEMA_VERSION + 1}
    (folder / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(DataError, match=f"is of version {SCHEMA_VERSION + 1}, made by a newer program"):
        MarketStore.open(folder)
    assert json.loads((folder / "meta.json").read_text()) == meta


def test_the_folds_lie_on_the_stores_calendar(small_store: MarketStore, small_config: DataConfig) -> None:
    splits = small_store.splits(small_config)
    assert len({fold.train.start for fold in splits.folds}) == 1
    assert splits.folds[-1].score.stop == small_store.num_days - 5 - 1


def test_a_longer_window_starts_later(small_store: MarketStore, small_config: DataConfig) -> None:
    longer = small_config.model_copy(update={"window": 60})
    assert small_store.splits(longer).search.train.start >= 59


@pytest.mark.parametrize("update", [{"horizons": (1, 5, 10)}, {"horizons": (1,)}, {"delay": 0}])
def test_other_labels_than_were_prepared_are_refused(
    small_store: MarketStore, small_config: DataConfig, update: dict[str, object]
) -> None:
    with pytest.raises(DataError, match=r"prepared for horizons \[1, 5\] and delay 1, but"):
        small_store.splits(small_config.model_copy(update=update))


def test_folds_longer_than_the_store_are_refused(small_store: MarketStore, small_config: DataConfig) -> None:
    longer = small_config.model_copy(update={"splits": SplitConfig(search_days=200)})
    with pytest.raises(DataError, match=r"240 days \(hold-out excluded\) leave 0 after"):
        small_store.splits(longer)
