"""What a panel would become, from its key columns alone: nothing is prepared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.axes import read_axes
from data.columns import settle_columns
from data.config import DataConfig
from data.settings import suited_to
from data.source import Source
from data.splits import Splits, make_splits


@dataclass(frozen=True)
class Outline:
    """Sizes and folds; a store's first usable day may lie a little later, once its values are known."""

    config: DataConfig  # with the splits that suit the panel
    dates: np.ndarray  # [D] datetime64[D], without the hold-out
    num_stocks: int
    num_features: int
    num_sectors: int  # codes, that of an unknown sector among them
    splits: Splits


def outline(panel: Path, config: DataConfig) -> Outline:
    """Reads dates, codes and labels of every row, and no values.

    Raises:
        DataError: as `data.settings.suited`.
    """
    source = Source.open(panel)
    columns = settle_columns(source, config)
    axes = read_axes(source, columns, config)
    whole = suited_to(config, columns, axes.all_dates)
    if whole.splits != config.splits:  # the hold-out with them
        axes = read_axes(source, columns, whole)
    return Outline(
        config=whole,
        dates=axes.dates,
        num_stocks=len(axes.codes),
        num_features=len(columns.built_in) + len(columns.own),
        num_sectors=1 + len(axes.labels.get("sector", ())),
        splits=make_splits(len(axes.dates), whole.warm_up, whole),
    )
