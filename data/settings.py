"""Data settings from a YAML file, and the defaults that suit a panel."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from data.axes import num_kept_days, panel_dates
from data.config import DataConfig, SplitConfig
from data.errors import DataError
from data.splits import make_splits


def read_data_config(path: Path | None, base: DataConfig | None = None) -> DataConfig | None:
    """The data section of a YAML file over `base`: the section itself, or a configuration that has one.

    Raises:
        DataError: no such file, no YAML, a key or value that breaks a rule.
    """
    if path is None:
        return base
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"data settings must be a readable YAML file, but {path} is not: {error}") from error
    if isinstance(content, dict) and isinstance(content.get("data"), dict):
        content = content["data"]
    if not isinstance(content, dict):
        raise DataError(f"data settings must be a mapping such as 'horizons: [1, 5]', but {path} holds {content!r}.")
    given = base.model_dump(exclude_unset=True) if base is not None else {}
    try:
        return DataConfig.model_validate({**given, **content})
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'data'}: {e['msg']}" for e in error.errors()]
        raise DataError(f"the data settings in {path} break a rule: " + "; ".join(lines)) from error


def suited(config: DataConfig, panel: Path) -> DataConfig:
    """The settings with splits that suit the panel's length, where none were given; refuses a history too short.

    Raises:
        DataError: a panel whose dates or columns cannot be read, or too few days for the folds.
    """
    dates = panel_dates(panel, config)
    if "splits" not in config.model_fields_set:
        content = config.model_dump() | {"splits": SplitConfig.for_market(len(dates)).model_dump()}
        config = DataConfig.model_validate(content)
    make_splits(num_kept_days(dates, config.splits), config.warm_up, config)
    return config
