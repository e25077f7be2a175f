"""What a prepared market is, in sentences: features, labels, universe, graph and hold-out, each said from the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data.config import DataConfig
from data.describe import describe
from data.features import FEATURES
from data.prepare import prepare
from data.store import MarketStore
from tests.data.test_prepare import changed, market_frame, save
from tests.data.test_reuse import OWN_TARGETS, with_targets, with_value

OHLCV = DataConfig.model_validate(
    {"horizons": [1, 3], "window": 3, "min_stocks": 3, "splits": {"holdout_days": 6}, "graph": {"kind": "none"}}
)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return market_frame()


def described(frame: pd.DataFrame, folder: Path, config: DataConfig) -> dict[str, str]:
    return describe(prepare(save(frame, folder / "panel.parquet"), folder / "prepared", config), config)


def with_graph(config: DataConfig, **graph: Any) -> DataConfig:
    return DataConfig.model_validate(config.model_dump() | {"graph": graph})


# --- whole descriptions


def test_a_market_of_prices_is_told_in_five_sentences_in_order(frame: pd.DataFrame, tmp_path: Path) -> None:
    told = described(frame.drop(columns=["f0", "f1", "late_eps"]), tmp_path, OHLCV)
    assert list(told.items()) == [
        ("features", f"{len(FEATURES)} computed from open, high, low, close, volume"),
        ("labels", "1d, 3d returns from close prices, entered 1 day later, less the day's mean, as z-scores"),
        ("universe", "8 stocks on a usual day"),
        ("graph", "none"),
        ("hold-out", "from 2020-02-21 on; no array of the store knows it"),
    ]


def test_features_and_targets_of_ones_own_are_told_with_their_lags_and_names(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    told = described(with_targets(frame), tmp_path, OWN_TARGETS)
    assert told["features"] == "3 of the panel's own columns (late 2 days late)"
    labels = "1d, 3d the panel's target_1d, target_3d, entered 1 day later, less the day's mean, as z-scores"
    assert told["labels"] == labels
    assert told["graph"].startswith("pearson correlation of 10 days, anew every 5 days, mean degree ")


def test_both_kinds_of_features_are_told(frame: pd.DataFrame, tmp_path: Path) -> None:
    groups = {"slow": {"columns": ["late_*"], "publication_lag": 1}, "f": {"columns": ["f1"], "publication_lag": 0}}
    told = described(frame, tmp_path, changed(OHLCV, columns={"features": "both", "groups": groups}))
    own = "3 of the panel's own columns (slow 1 day late, f 0 days late)"
    assert told["features"] == f"{len(FEATURES)} computed from open, high, low, close, volume and {own}"


def test_own_features_without_a_group_have_no_lag_to_tell(frame: pd.DataFrame, tmp_path: Path) -> None:
    config = changed(OHLCV, columns={"features": "own"})
    assert described(frame, tmp_path, config)["features"] == "3 of the panel's own columns"


@pytest.mark.parametrize("splits", [{"holdout_days": 0}, {"holdout_from": "2020-02-17"}])
def test_a_hold_out_is_told_where_there_is_one(frame: pd.DataFrame, tmp_path: Path, splits: dict[str, Any]) -> None:
    told = described(frame, tmp_path, changed(OHLCV, splits=splits))
    assert told.get("hold-out", "").startswith("from 2020-02-17 on") == ("holdout_from" in splits)
    assert ("hold-out" in told) == ("holdout_from" in splits)


# --- labels

STEPS: dict[str, tuple[dict[str, Any], str]] = {
    "all": (
        {"winsorise": 0.01, "scale_by_volatility": True, "centre": "sector", "shape": "rank_gaussian"},
        "winsorised 1%, over volatility, less the sector's mean, as Gaussian ranks",
    ),
    "none": ({"centre": "none", "shape": "raw"}, ""),
    "centre alone": ({"shape": "raw"}, "less the day's mean"),
    "shape alone": ({"centre": "none"}, "as z-scores"),
    "half a percent": ({"winsorise": 0.005, "centre": "none", "shape": "raw"}, "winsorised 0.5%"),
}


@pytest.mark.parametrize("name", STEPS)
def test_the_steps_of_a_label_are_told_in_the_order_in_which_they_are_taken(
    frame: pd.DataFrame, tmp_path: Path, name: str
) -> None:
    labels, steps = STEPS[name]
    told = described(frame, tmp_path, changed(OHLCV, labels=labels))["labels"]
    assert told == ", ".join(filter(None, ["1d, 3d returns from close prices, entered 1 day later", steps]))


def test_prices_at_the_open_and_another_delay_are_told(frame: pd.DataFrame, tmp_path: Path) -> None:
    config = changed(OHLCV, labels={"price": "open"}, delay=2, horizons=[1])
    assert described(frame, tmp_path, config)["labels"].startswith("1d returns from open prices, entered 2 days later")


@pytest.mark.parametrize(
    ("halts", "said"), [([], ""), ([12], "; 1 untradable one masked"), ([12, 15], "; 2 untradable ones masked")]
)
def test_untradable_labels_are_counted(frame: pd.DataFrame, tmp_path: Path, halts: list[int], said: str) -> None:
    halted = with_targets(frame)
    for day in halts:
        halted = with_value(halted, "volume", day, 0.0)
    assert described(halted, tmp_path, OWN_TARGETS)["labels"].endswith(f"as z-scores{said}")


# --- universe


def sections(frame: pd.DataFrame) -> pd.DataFrame:
    """Five of the eight stocks are in Prime, two of these are common stock."""
    return frame.assign(
        Section=np.where(frame["Code"] < "1350", "Prime", "Standard"),
        SecurityType=np.where(frame["Code"] < "1320", "common", "fund"),
    )


@pytest.mark.parametrize(
    ("universe", "said"),
    [
        ({}, "8 stocks on a usual day"),
        ({"sections": ("Prime",)}, "5 of 8 stocks on a usual day (section Prime)"),
        ({"sections": ("Prime", "Standard")}, "8 of 8 stocks on a usual day (section Prime, Standard)"),
        ({"security_types": ("fund",)}, "6 of 8 stocks on a usual day (type fund)"),
        (
            {"sections": ("Prime",), "security_types": ("fund",)},
            "3 of 8 stocks on a usual day (section Prime; type fund)",
        ),
    ],
)
def test_filters_are_told_with_what_they_admit(
    frame: pd.DataFrame, tmp_path: Path, universe: dict[str, Any], said: str
) -> None:
    everyone = pd.MultiIndex.from_product([sorted(frame["Date"].unique()), sorted(frame["Code"].unique())])
    full = frame.set_index(["Date", "Code"]).reindex(everyone.set_names(["Date", "Code"]))
    full = full.groupby(level="Code").ffill().groupby(level="Code").bfill().reset_index()  # a row for everybody
    assert described(sections(full), tmp_path, changed(OHLCV, universe=universe))["universe"] == said


def test_a_least_turnover_is_told_with_its_window(frame: pd.DataFrame, tmp_path: Path) -> None:
    config = changed(OHLCV, universe={"min_turnover": 4.5e5, "turnover_window": 20})
    store = prepare(save(frame, tmp_path / "p.parquet"), tmp_path / "s", config)
    said = describe(store, config)["universe"].replace(",", "")
    assert said.endswith(" of 8 stocks on a usual day (20-day turnover from 450000)")
    assert 0 < int(said.split()[0]) < 8


# --- graphs


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        ({"kind": "sector", "k": 4, "refresh_days": 1}, "within sectors, anew every 1 day"),
        ({"kind": "sector", "k": 4, "shuffled": True}, "within sectors, shuffled, anew every 20 days"),
        (
            {"kind": "correlation", "method": "rank", "window": 12, "k": 2},
            "rank correlation of 12 days, anew every 5 days",
        ),
        (
            {"kind": "correlation", "window": 12, "k": 2, "refresh_days": 3, "shuffled": True},
            "pearson correlation of 12 days, shuffled, anew every 3 days",
        ),
    ],
)
def test_a_graph_is_told_with_its_kind_and_mean_degree_and_built_for_it(
    frame: pd.DataFrame, tmp_path: Path, graph: dict[str, Any], said: str
) -> None:
    config = with_graph(OHLCV, **graph)
    store = prepare(save(frame, tmp_path / "p.parquet"), tmp_path / "s", config)
    told = describe(store, config)["graph"]
    graphs = MarketStore.open(store.folder).graphs(config.graph)
    assert graphs is not None
    assert told == f"{said}, mean degree {graphs.mean_degree:.1f}"
    assert len(list(store.folder.glob("graphs/*/edge_index.npy"))) == 1
