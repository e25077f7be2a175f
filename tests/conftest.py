"""Fixtures that every package's tests share: a small synthetic market and its prepared store."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.config import CorrelationGraphConfig, DataConfig, SplitConfig
from data.prepare import prepare
from data.store import MarketStore
from data.synthetic import SyntheticConfig, synthetic_panel

RAY_HEAD = "ray_head"
SHARED = (RAY_HEAD, "trained")  # fixtures that take long to make: one worker has all tests on one of them
SMALL_MARKET = SyntheticConfig(num_stocks=24, num_days=260, num_sectors=4, seed=3)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workers share the suite by files; those on the Ray head come first, because they take longest."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: _group(item) != RAY_HEAD)


def _group(item: pytest.Item) -> str:
    fixtures = getattr(item, "fixturenames", ())
    return next((name for name in SHARED if name in fixtures), str(item.path))


@pytest.fixture(scope="session")
def small_config() -> DataConfig:
    """Short folds and a short graph window, so that a 260-day market is enough."""
    return DataConfig(
        horizons=(1, 5),
        window=10,
        splits=SplitConfig(search_days=24, confirm_days=16, confirm_folds=2, holdout_days=20),
        graph=CorrelationGraphConfig(window=20, lead_lag_window=60, k=3),
    )


@pytest.fixture(scope="session")
def small_panel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 stocks x 260 days as Parquet."""
    return synthetic_panel(tmp_path_factory.mktemp("synthetic"), SMALL_MARKET)


@pytest.fixture(scope="session")
def small_store(small_panel: Path, small_config: DataConfig, tmp_path_factory: pytest.TempPathFactory) -> MarketStore:
    """The prepared store of `small_panel`."""
    return prepare(small_panel, tmp_path_factory.mktemp("prepared"), small_config)
