"""Data settings from a YAML file, and the defaults that suit a panel."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import yaml
from pydantic import ValidationError

from data.axes import num_kept_days, read_axes
from data.columns import Columns, settle_columns
from data.config import HOLDOUT_SHARE, DataConfig, SplitConfig
from data.errors import DataError
from data.findings import counted
from data.rules import broken_rules, load_yaml
from data.source import Source
from data.splits import ShortHistoryError, make_splits

LONGEST_SEARCH = 5000  # trading days that a panel may lack, to be told how many


def read_data_config(path: Path | None, base: DataConfig | None = None) -> DataConfig | None:
    """The data section of a YAML file over `base`: the section itself, or a configuration that has one.

    Raises:
        DataError: no such file, no YAML, a key twice, a key or value that breaks a rule.
    """
    if path is None:
        return base
    try:
        content = load_yaml(path.read_text())
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise DataError(f"data settings must be a readable YAML file, but in {path}{line}: {error.problem}.") from error
    except (OSError, ValueError, yaml.YAMLError) as error:  # a ValueError: 2024-02-30, or text that is not UTF-8
        raise DataError(f"data settings must be a readable YAML file, but {path} is not: {error}") from error
    if isinstance(content, dict) and "data" in content:
        content = content["data"]
    if not isinstance(content, dict):
        held = "is empty" if content is None else f"holds {content!r}"
        raise DataError(f"data settings must be a mapping such as 'horizons: [1, 5]', but {path} {held}.")
    given = base.model_dump(exclude_unset=True) if base is not None else {}
    try:
        return DataConfig.model_validate({**given, **content})
    except ValidationError as error:
        raise DataError(
            f"the data settings in {path} break a rule: {broken_rules(error, DataConfig, 'data')}."
        ) from error


def suited(config: DataConfig, panel: Path) -> DataConfig:
    """The settings with splits that suit the panel's length, where none were given: without confirm folds where the
    history has no days for them, unless their number was given; refuses one that is too short for a search fold.

    Raises:
        DataError: a panel whose dates or columns cannot be read, a graph that they do not allow, a hold-out that it
            does not reach, or too few days for the folds.
    """
    source = Source.open(panel)
    columns = settle_columns(source, config)
    return suited_to(config, columns, read_axes(source, columns, config).all_dates)


def suited_to(config: DataConfig, columns: Columns, dates: np.ndarray) -> DataConfig:
    """The same for a panel that has been looked at: its columns, and its trading days with the hold-out."""
    _refuse_impossible(config, columns)
    behind = len(dates) - num_kept_days(dates, config.splits)
    if config.splits.holdout_from is not None and behind == 0:
        raise DataError(
            f"splits.holdout_from must not lie after the panel's last day {dates[-1]}, but it is "
            f"{config.splits.holdout_from}: nothing would be held out. Choose an earlier day, or holdout_days: 0."
        )
    try:
        return _as_far_as_it_goes(config, len(dates), behind)
    except ShortHistoryError as error:
        raise DataError(f"{error} {_days_lacking(config, len(dates), behind)}") from error


def _as_far_as_it_goes(config: DataConfig, num_days: int, behind: int) -> DataConfig:
    """`_laid_out`; without confirm folds where there are no days for them and their number was not given. Arms are then
    compared on the search's own days, and everything that is told of them is exploratory."""
    with contextlib.suppress(ShortHistoryError):
        return _laid_out(config, num_days, behind)
    given = {"confirm_folds": 0} | config.splits.model_dump(exclude_unset=True)
    return _laid_out(config.model_copy(update={"splits": SplitConfig.model_validate(given)}), num_days, behind)


def _laid_out(config: DataConfig, num_days: int, behind: int) -> DataConfig:
    """With fold lengths that suit the panel, but for those that were given; days behind a pinned hold-out change none.

    Raises:
        ShortHistoryError: too few days for the folds.
    """
    pinned = config.splits.holdout_from is not None
    shared_out = round((num_days - behind) / (1 - HOLDOUT_SHARE)) if pinned else num_days
    splits = SplitConfig.for_market(shared_out).model_dump() | config.splits.model_dump(exclude_unset=True)
    whole = DataConfig.model_validate(config.model_dump() | {"splits": splits})
    make_splits(num_days - (behind if pinned else whole.splits.holdout_days), whole.warm_up, whole)
    return whole


def _days_lacking(config: DataConfig, num_days: int, behind: int) -> str:
    """The least number of days more with which the folds can be laid, their shares growing with the panel."""
    for more in range(1, LONGEST_SEARCH):
        with contextlib.suppress(ShortHistoryError):
            _as_far_as_it_goes(config, num_days + more, behind)
            return f"{counted(more, 'more trading day')} would be enough."
    return ""


def _refuse_impossible(config: DataConfig, columns: Columns) -> None:
    """A graph, or labels, of columns that the panel does not have."""
    kind, roles = config.graph.kind, columns.roles
    has_returns = bool(roles.keys() & {"close", "returns"})
    if kind == "correlation" and not has_returns:
        way = "{kind: sector}, which needs none, or {kind: none}" if "sector" in roles else "{kind: none}"
        raise DataError(
            f"a correlation graph needs closes or one-day returns, but the panel has neither. Name the column in "
            f"data.columns.close or data.columns.returns, or set data.graph to {way}."
        )
    if kind == "sector" and "sector" not in roles:
        raise DataError(
            "a sector graph needs a sector column, but the panel has none. Name it in data.columns.sector, or set "
            "data.graph to {kind: correlation} or {kind: none}."
        )
    if config.labels.scale_by_volatility and not has_returns:
        raise DataError(
            "labels.scale_by_volatility needs closes or one-day returns, but the panel has neither. Name the column in "
            "data.columns.close or data.columns.returns, or leave it out."
        )
    if config.labels.centre == "sector" and "sector" not in roles:
        raise DataError(
            "labels.centre 'sector' needs a sector column, but the panel has none. Name it in data.columns.sector, or "
            "set labels.centre to day."
        )
