"""What the tests of `data` share: small tables to write and spoil, random closes, a private copy of a store."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import settings

from data.panel import PRICES, Panel
from data.store import MarketStore
from data.synthetic import SyntheticConfig, generate

REPEATABLE: dict[str, Any] = {"deadline": None, "derandomize": True, "database": None}


def properties(max_examples: int) -> settings:
    """Hypothesis settings: the same examples on every machine, no time limit per example."""
    return settings(max_examples=max_examples, **REPEATABLE)


def long_table(num_stocks: int = 10, num_days: int = 60, seed: int = 1) -> pa.Table:
    """A synthetic market as the long table that a user would bring."""
    return generate(SyntheticConfig(num_stocks=num_stocks, num_days=num_days, num_sectors=3, seed=seed))


def with_column(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray | np.ndarray | Sequence) -> pa.Table:
    """The table with one column's values exchanged."""
    column = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    return table.set_column(table.schema.get_field_index(name), name, column)


def with_value(table: pa.Table, name: str, row: int, value: object) -> pa.Table:
    """The table with a single value exchanged."""
    values = table[name].to_pylist()
    values[row] = value
    return with_column(table, name, pa.array(values, table.schema.field(name).type))


def write(table: pa.Table, path: Path, **options: object) -> Path:
    """Writes the table as one Parquet file and returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    return path


def assert_same_panel(a: Panel, b: Panel) -> None:
    """Equal axes, labels and prices, missing values at the same places."""
    np.testing.assert_array_equal(a.dates, b.dates)
    np.testing.assert_array_equal(a.codes, b.codes)
    np.testing.assert_array_equal(a.sector, b.sector)
    np.testing.assert_array_equal(a.industry, b.industry)
    for name in PRICES:
        np.testing.assert_array_equal(a.prices[name], b.prices[name], err_msg=name)


def random_closes(num_days: int, num_stocks: int, seed: int = 0) -> np.ndarray:
    """[D, N] positive prices of correlated random walks without a missing value."""
    rng = np.random.default_rng(seed)
    market, own = rng.normal(0, 0.01, (num_days, 1)), rng.normal(0, 0.01, (num_days, num_stocks))
    return 20 * np.exp(np.cumsum(market + own, axis=0))


def copied_store(store: MarketStore, folder: Path) -> MarketStore:
    """A private copy of the store's files, without fitted scalers."""
    shutil.copytree(store.folder, folder, ignore=shutil.ignore_patterns("scaler-*"))
    return MarketStore.open(folder)
