"""Settings: frozen, closed to unknown keys, every rule with its message, and a purge that covers what labels see."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from data.config import (
    ColumnGroup,
    ColumnsConfig,
    CorrelationGraphConfig,
    DataConfig,
    InspectionConfig,
    LabelConfig,
    NoGraphConfig,
    SectorGraphConfig,
    SplitConfig,
    UniverseConfig,
)

SECTIONS: list[BaseModel] = [
    DataConfig(),
    ColumnsConfig(),
    ColumnGroup(columns=("stmt_*",), publication_lag=1),
    UniverseConfig(),
    LabelConfig(),
    SplitConfig(),
    CorrelationGraphConfig(),
    SectorGraphConfig(),
    NoGraphConfig(),
    InspectionConfig(),
]
every_section = pytest.mark.parametrize("section", SECTIONS, ids=lambda section: type(section).__name__)


@every_section
def test_an_unknown_key_is_refused(section: BaseModel) -> None:
    with pytest.raises(ValidationError, match="holdout_dayz"):
        type(section).model_validate({**section.model_dump(), "holdout_dayz": 3})


@every_section
def test_a_section_cannot_be_changed(section: BaseModel) -> None:
    for name in type(section).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, name, None)


# One line for each rule: section, offence, and what the message must name.
OFFENCES: list[tuple[type[BaseModel], dict[str, Any], str]] = [
    (DataConfig, {"horizons": ()}, "horizons"),
    (DataConfig, {"horizons": (5, 1)}, r"horizons must be distinct, ascending and at least 1, got \(5, 1\)"),
    (DataConfig, {"horizons": (1, 1)}, r"horizons must be distinct, ascending and at least 1, got \(1, 1\)"),
    (DataConfig, {"horizons": (0, 5)}, r"horizons must be distinct, ascending and at least 1, got \(0, 5\)"),
    (DataConfig, {"horizons": (-1,)}, "at least 1"),
    (DataConfig, {"horizons": (1.5,)}, "horizons"),
    (DataConfig, {"delay": -1}, "delay"),
    (DataConfig, {"delay": 21}, "delay"),
    (DataConfig, {"window": 1}, "window"),
    (DataConfig, {"clip": 0}, "clip"),
    (DataConfig, {"clip": float("nan")}, "clip"),
    (DataConfig, {"clip": float("inf")}, "clip"),
    (DataConfig, {"min_stocks": 2}, "min_stocks"),
    (DataConfig, {"delay": 0, "labels": {"price": "open"}}, "'open' must have a delay of at least 1"),
    (DataConfig, {"graph": {"kind": "knn"}}, "graph"),
    (DataConfig, {"graph": {"kind": "none", "window": 60}}, "window"),
    (ColumnsConfig, {"date": ""}, "date"),
    (ColumnsConfig, {"features": "mine"}, "features"),
    (ColumnsConfig, {"targets": {"five": "y"}}, "targets"),
    (ColumnsConfig, {"targets": {5: ""}}, "targets"),
    (ColumnGroup, {"columns": (), "publication_lag": 1}, "columns"),
    (ColumnGroup, {"columns": ("",), "publication_lag": 1}, "columns"),
    (ColumnGroup, {"columns": ("a",)}, "publication_lag"),
    (ColumnGroup, {"columns": ("a",), "publication_lag": -1}, "publication_lag"),
    (ColumnGroup, {"columns": ("a",), "publication_lag": 251}, "publication_lag"),
    (UniverseConfig, {"min_turnover": -1}, "min_turnover"),
    (UniverseConfig, {"turnover_window": 4}, "turnover_window"),
    (UniverseConfig, {"turnover_window": 251}, "turnover_window"),
    (LabelConfig, {"winsorise": 0.5}, "winsorise"),
    (LabelConfig, {"winsorise": -0.1}, "winsorise"),
    (LabelConfig, {"centre": "market"}, "centre"),
    (LabelConfig, {"shape": "gaussian"}, "shape"),
    (LabelConfig, {"price": "high"}, "price"),
    (LabelConfig, {"source": "panel", "price": "open"}, "labels.source 'panel' leave it 'close'"),
    (SplitConfig, {"search_days": 1}, "search_days"),
    (SplitConfig, {"confirm_days": 1}, "confirm_days"),
    (SplitConfig, {"confirm_folds": -1}, "confirm_folds"),
    (SplitConfig, {"confirm_folds": 9}, "confirm_folds"),
    (SplitConfig, {"holdout_days": -1}, "holdout_days"),
    (SplitConfig, {"holdout_from": "soon"}, "holdout_from"),
    (SplitConfig, {"train_days": 39}, "train_days"),
    (SplitConfig, {"embargo_days": -1}, "embargo_days"),
    (CorrelationGraphConfig, {"k": 2, "min_degree": 3}, "min_degree must not exceed k 2, got 3"),
    (CorrelationGraphConfig, {"k": 0}, "k"),
    (CorrelationGraphConfig, {"window": 9}, "window"),
    (CorrelationGraphConfig, {"window": 251}, "window"),
    (CorrelationGraphConfig, {"half_life": 1}, "half_life"),
    (CorrelationGraphConfig, {"lead_lag_window": 19}, "lead_lag_window"),
    (CorrelationGraphConfig, {"shrinkage": 1}, "shrinkage"),
    (CorrelationGraphConfig, {"min_correlation": 1}, "min_correlation"),
    (CorrelationGraphConfig, {"refresh_days": 0}, "refresh_days"),
    (CorrelationGraphConfig, {"method": "kendall"}, "method"),
    (SectorGraphConfig, {"k": 0}, "k"),
    (SectorGraphConfig, {"refresh_days": 0}, "refresh_days"),
    (InspectionConfig, {"max_factor": 1}, "max_factor"),
    (InspectionConfig, {"max_fall": 1}, "max_fall"),
]


@pytest.mark.parametrize(("section", "offence", "message"), OFFENCES, ids=[f"{s.__name__}-{o}" for s, o, _ in OFFENCES])
def test_an_offence_is_refused_by_name(section: type[BaseModel], offence: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        section.model_validate(offence)


def test_the_entry_at_a_later_open_or_at_the_same_close_is_admitted() -> None:
    assert DataConfig(labels=LabelConfig(price="open"), delay=1).reach == 21
    assert DataConfig(delay=0).reach == 20


def test_the_defaults_are_those_that_the_users_expect() -> None:
    config = DataConfig()
    assert (config.horizons, config.delay, config.clip) == ((1, 5, 10, 20), 1, 8.0)
    assert (config.labels.price, config.labels.source) == ("close", "auto")


def test_the_purge_is_the_longest_horizon_plus_delay_plus_embargo() -> None:
    config = DataConfig(horizons=(1, 7), delay=2, splits=SplitConfig(embargo_days=4))
    assert config.reach == 7 + 2
    assert config.purge == 7 + 2 + 4


def test_the_warm_up_is_the_longer_of_the_features_window_and_the_graphs() -> None:
    assert DataConfig(window=20, graph=NoGraphConfig()).warm_up == 19
    assert DataConfig(window=20, graph=SectorGraphConfig()).warm_up == 19
    assert DataConfig(window=20, graph=CorrelationGraphConfig(window=60)).warm_up == 60
    assert DataConfig(window=90, graph=CorrelationGraphConfig(window=60)).warm_up == 89


@pytest.mark.parametrize("graph", [NoGraphConfig(), SectorGraphConfig(k=3), CorrelationGraphConfig(k=3)])
def test_the_graph_section_is_chosen_by_its_kind(graph: BaseModel) -> None:
    assert DataConfig.model_validate({"graph": graph.model_dump()}).graph == graph


def test_a_config_survives_plain_json() -> None:
    config = DataConfig(
        horizons=(2, 9),
        columns=ColumnsConfig(
            date="Date", targets={2: "y2", 9: "y9"}, groups={"s": ColumnGroup(columns=("stmt_*",), publication_lag=2)}
        ),
        universe=UniverseConfig(sections=("Prime",), min_turnover=1e6),
        labels=LabelConfig(winsorise=0.01, shape="rank_gaussian"),
        splits=SplitConfig(search_days=31, holdout_from=dt.date(2020, 1, 31)),
        graph=SectorGraphConfig(k=5),
    )
    assert DataConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("num_days", [260, 1274, 1597])
def test_the_markets_folds_take_the_shares_that_their_description_names(num_days: int) -> None:
    splits = SplitConfig.for_market(num_days)
    assert abs(splits.search_days / num_days - 0.14) < 0.003
    assert abs(splits.confirm_days / num_days - 0.09) < 0.003
    assert abs(splits.holdout_days / num_days - 0.14) < 0.003
    assert splits.confirm_folds == 2


@pytest.mark.parametrize("num_days", [1, 5, 10])
def test_the_folds_of_a_tiny_market_are_still_valid(num_days: int) -> None:
    assert SplitConfig.for_market(num_days).search_days == 2
