"""A market's columns are known again where a panel reaches back to days that were learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.config import DataConfig
from data.errors import DataError
from data.fingerprint import DAYS, Fingerprint, refuse_dead_columns, refuse_other_columns, take_fingerprint
from data.prepare import prepare
from data.store import MarketStore

LEARNED = range(60, 200)


@pytest.fixture(scope="module")
def known(small_store: MarketStore, tmp_path_factory: pytest.TempPathFactory) -> Fingerprint:
    """Taken, written and read again."""
    path = tmp_path_factory.mktemp("fingerprint") / "fingerprint.npz"
    take_fingerprint(small_store, LEARNED).save(path)
    return Fingerprint.load(path)


def altered(panel: Path, config: DataConfig, folder: Path, **columns: object) -> MarketStore:
    frame = pd.read_parquet(panel)
    frame.assign(**columns).to_parquet(folder / "panel.parquet")
    return prepare(folder / "panel.parquet", folder, config)


def test_it_holds_the_last_days_that_were_learned_from(known: Fingerprint, small_store: MarketStore) -> None:
    assert known.dates.tolist() == small_store.dates[200 - DAYS : 200].tolist()
    assert known.values.shape == (DAYS, 24, len(small_store.meta.bars) + len(small_store.meta.features))
    assert known.names[: known.num_raw] == ["open", "high", "low", "close", "volume"]


def test_its_own_market_is_known_again(known: Fingerprint, small_store: MarketStore) -> None:
    assert refuse_other_columns(known, small_store) is None
    refuse_dead_columns(known, small_store, small_store.num_days - 1)


def test_a_history_that_is_too_short_for_a_feature_is_named_as_the_cause(
    small_store: MarketStore, small_panel: Path, small_config: DataConfig, tmp_path: Path
) -> None:
    known = take_fingerprint(small_store, range(small_store.num_days - 20, small_store.num_days))
    frame = pd.read_parquet(small_panel)
    last = frame["date"].isin(sorted(frame["date"].unique())[-100:])  # the hold-out takes 20 of them
    frame[last].to_parquet(tmp_path / "panel.parquet")
    store = prepare(tmp_path / "panel.parquet", tmp_path, small_config)
    with pytest.raises(DataError, match=r"The panel has 80 days until then.*bring a longer history"):
        refuse_dead_columns(known, store, store.num_days - 1)


def test_another_adjustment_of_prices_is_no_other_column(
    known: Fingerprint, small_panel: Path, small_config: DataConfig, tmp_path: Path
) -> None:
    frame = pd.read_parquet(small_panel)
    halved = {name: frame[name] / 2 for name in ("open", "high", "low", "close")}
    store = altered(small_panel, small_config, tmp_path, **halved, volume=frame["volume"] * 2)
    assert refuse_other_columns(known, store) is None


def test_swapped_prices_are_refused_by_the_columns_names(
    known: Fingerprint, small_panel: Path, small_config: DataConfig, tmp_path: Path
) -> None:
    frame = pd.read_parquet(small_panel)
    store = altered(small_panel, small_config, tmp_path, open=frame["close"], close=frame["open"])
    with pytest.raises(DataError, match="open holds the values of close; close holds the values of open"):
        refuse_other_columns(known, store)


def test_prices_of_another_market_are_refused(
    known: Fingerprint, small_panel: Path, small_config: DataConfig, tmp_path: Path
) -> None:
    frame = pd.read_parquet(small_panel).sort_values(["code", "date"])
    other = dict(zip(sorted(frame["code"].unique()), np.roll(sorted(frame["code"].unique()), 1), strict=True))
    store = altered(small_panel, small_config, tmp_path, code=pd.read_parquet(small_panel)["code"].map(other))
    with pytest.raises(DataError, match="close agrees in"):
        refuse_other_columns(known, store)


def test_a_panel_that_does_not_reach_back_is_not_compared_and_says_so(
    known: Fingerprint, small_panel: Path, small_config: DataConfig, tmp_path: Path
) -> None:
    frame = pd.read_parquet(small_panel)
    dates = sorted(frame["date"].unique())

    def since(day: int) -> str | None:
        folder = tmp_path / str(day)
        folder.mkdir()
        frame[frame["date"] >= dates[day]].to_parquet(folder / "panel.parquet")
        config = small_config.model_copy(update={"splits": small_config.splits.model_copy(update={"holdout_days": 0})})
        return refuse_other_columns(known, prepare(folder / "panel.parquet", folder, config))

    assert since(205) == "the panel shares 0 days and 24 stocks with those that were learned from"
    assert "features read 384" in str(since(100))
