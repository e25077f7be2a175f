"""Fixtures of the `data` tests: the folds of the small market."""

from __future__ import annotations

import pytest

from data.config import DataConfig
from data.loader import FoldBlocks
from data.splits import Splits
from data.store import MarketStore


@pytest.fixture(scope="session")
def small_splits(small_store: MarketStore, small_config: DataConfig) -> Splits:
    """The fold roles of the small store."""
    return small_store.splits(small_config)


@pytest.fixture(scope="session")
def search_blocks(small_store: MarketStore, small_splits: Splits, small_config: DataConfig) -> FoldBlocks:
    """The search fold in blocks of 4 days."""
    return FoldBlocks(small_store, small_splits.search, small_config, block_days=4)
