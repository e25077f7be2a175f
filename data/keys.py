"""The keys by which prepared markets are found: what of the panel and of the settings their arrays depend on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xxhash

from data.cache import digest
from data.columns import Columns
from data.config import DataConfig
from data.features import FEATURES
from data.source import FILE_NAME, Source

ARRAYS = ("features", "labels", "present", "eligible", "returns", "volatility", "sector", "industry")
FEATURES_VERSION = 4  # raise when the meaning of a feature, a label or a cell changes


def panel_key(table: np.ndarray, columns: list[str]) -> str:
    """Of the panel's bytes: equal column chunks, equal key, whatever the files' names and order."""
    ordered = table[np.lexsort(table.T[::-1])]
    return xxhash.xxh3_128_hexdigest("\0".join(columns).encode() + ordered.tobytes())[:16]


def settings_key(config: DataConfig) -> str:
    """Of every setting that a cell of a prepared array depends on; graphs, targets and scalers have keys of their own.

    Where the hold-out begins decides how many days there are, not what stands in them: it is in `store_key` alone, so
    that a panel that has grown finds the days that it had before.
    """
    settings = {
        "version": FEATURES_VERSION,
        "features": list(FEATURES),
        "horizons": config.horizons,
        "delay": config.delay,
        "calendar": config.calendar,
        "columns": config.columns.model_dump(mode="json"),
        "groups": list(config.columns.groups),  # a column that none names belongs to the first whose pattern fits
        "universe": config.universe.model_dump(mode="json"),
        "labels": {"source": config.labels.source, "price": config.labels.price},
        "min_stocks": config.min_stocks,
        "inspection": config.inspection.model_dump(mode="json"),  # what one refuses, another lets pass
    }
    return digest(settings)


def store_key(panel: str, config: DataConfig) -> str:
    """Of bytes, settings and hold-out together: the name of the store's folder."""
    pinned = config.splits.holdout_from
    return digest([panel, settings_key(config), str(pinned) if pinned else config.splits.holdout_days])


def cells_key(folder: Path, axes: Sequence[Sequence[str]]) -> str:
    """Of all that a trial can see of a store: its arrays' bytes, and the dates, codes and features that they are about.

    A panel that has grown behind a pinned hold-out gives another store with the same cells.
    """
    content = xxhash.xxh3_128()
    for name in ARRAYS:
        with (folder / f"{name}.npy").open("rb") as stream:
            while piece := stream.read(1 << 22):
                content.update(piece)
    return digest([content.hexdigest(), *axes])


def key_columns(source: Source, columns: Columns) -> list[str]:
    """The columns whose bytes count: all stored ones, and the files' names where they are a key."""
    names = [name for name in source.schema if name != FILE_NAME]
    return names + [FILE_NAME] * (FILE_NAME in columns.roles.values())
