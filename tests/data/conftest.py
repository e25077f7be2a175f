"""Fixtures of the `data` tests: the small market read and unread, and one market with long enough history."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.config import DataConfig
from data.loader import FoldBlocks
from data.panel import Panel, read_panel
from data.splits import Splits
from data.store import MarketStore


@pytest.fixture(scope="session")
def market(small_panel: Path) -> Panel:
    """The small market as dense arrays, hold-out included."""
    return read_panel(small_panel)


@pytest.fixture(scope="session")
def small_splits(small_store: MarketStore, small_config: DataConfig) -> Splits:
    """The fold roles of the small store."""
    return small_store.splits(small_config)


@pytest.fixture(scope="session")
def search_blocks(small_store: MarketStore, small_splits: Splits, small_config: DataConfig) -> FoldBlocks:
    """The search fold in blocks of 4 days."""
    return FoldBlocks(small_store, small_splits.search, small_config, block_days=4)


@pytest.fixture(scope="session")
def log_returns(market: Panel) -> np.ndarray:
    """[D, N] one-day log returns of the small market, computed apart from the product's code."""
    log_close = np.log(market.prices["close"])
    return np.vstack([np.full((1, log_close.shape[1]), np.nan), log_close[1:] - log_close[:-1]])
