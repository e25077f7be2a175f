"""Fixtures that every package's tests share: a small synthetic market and its prepared store."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from data.config import CorrelationGraphConfig, DataConfig, SplitConfig
from data.prepare import prepare
from data.store import MarketStore
from data.synthetic import SyntheticConfig, synthetic_panel

RAY_HEAD, TRAINED = "the Ray head", "a finished training"
SHARING = {  # files of tests that share what takes long to make: one worker has them all
    "test_run.py": RAY_HEAD,
    "test_interrupt.py": RAY_HEAD,
    "test_cluster.py": RAY_HEAD,
    "test_chaos.py": RAY_HEAD,
    "test_options.py": RAY_HEAD,
    "test_nodes.py": RAY_HEAD,
    "test_holdout.py": RAY_HEAD,
    "test_validate_improvements.py": RAY_HEAD,
    "test_planted.py": RAY_HEAD,
    "test_daily.py": TRAINED,
    "test_ensemble.py": RAY_HEAD,
    "test_export.py": TRAINED,
    "test_monitor.py": TRAINED,
    "test_retrain.py": TRAINED,
    "test_train.py": TRAINED,
    "test_train_request.py": TRAINED,
    "test_single.py": TRAINED,
    "test_reproduce.py": TRAINED,
    "test_references.py": TRAINED,
}
SMALL_MARKET = SyntheticConfig(num_stocks=24, num_days=260, num_sectors=4, seed=3)


class SharingByFile(LoadFileScheduling):
    """Hands whole files to workers, and files that share something expensive together."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return SHARING.get(Path(file).name, file)


def pytest_configure() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would the commands that tests interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharingByFile:
    """Of `--numprocesses`."""
    return SharingByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those on the Ray head come first, because they take longest."""
    items.sort(key=lambda item: SHARING.get(item.path.name) != RAY_HEAD)


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
