"""Settings: frozen, closed to unknown keys, ordered horizons, and a purge that covers what labels see."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from data.config import CorrelationGraphConfig, DataConfig, NoGraphConfig, SplitConfig

SECTIONS = [DataConfig, SplitConfig, CorrelationGraphConfig, NoGraphConfig]


@pytest.mark.parametrize("section", SECTIONS)
def test_an_unknown_key_is_refused(section: type[BaseModel]) -> None:
    with pytest.raises(ValidationError, match="holdout_dayz"):
        section.model_validate({"holdout_dayz": 3})


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_cannot_be_changed(section: type[BaseModel]) -> None:
    name = next(iter(section.model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(section(), name, None)


@pytest.mark.parametrize("horizons", [(), (5, 1), (1, 1), (0, 5), (-1,)])
def test_horizons_must_be_distinct_ascending_and_positive(horizons: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="horizons"):
        DataConfig(horizons=horizons)


def test_the_purge_is_the_longest_horizon_plus_delay_plus_embargo() -> None:
    config = DataConfig(horizons=(1, 7), delay=2, splits=SplitConfig(embargo_days=4))
    assert config.purge == 7 + 2 + 4


def test_the_graph_section_is_chosen_by_its_kind() -> None:
    assert DataConfig.model_validate({"graph": {"kind": "none"}}).graph == NoGraphConfig()
    assert DataConfig.model_validate({"graph": {"kind": "correlation", "k": 3}}).graph == CorrelationGraphConfig(k=3)


def test_a_graph_of_another_kind_does_not_take_the_first_ones_settings() -> None:
    with pytest.raises(ValidationError, match="window"):
        DataConfig.model_validate({"graph": {"kind": "none", "window": 60}})


def test_a_config_survives_plain_json() -> None:
    config = DataConfig(horizons=(2, 9), splits=SplitConfig(search_days=31), graph=CorrelationGraphConfig(k=5))
    assert DataConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("num_days", [260, 1274, 1597])
def test_the_markets_folds_take_the_shares_that_their_description_names(num_days: int) -> None:
    splits = SplitConfig.for_market(num_days)
    assert abs(splits.search_days / num_days - 0.14) < 0.003
    assert abs(splits.confirm_days / num_days - 0.09) < 0.003
    assert abs(splits.holdout_days / num_days - 0.14) < 0.003
    assert splits.confirm_folds == 2
