"""Fixtures of the driver's tests: one Ray head for all of them, and a market that a sweep can run on in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import ray
import torch
import yaml

from data.config import DataConfig
from data.loader import FoldBlocks
from data.store import MarketStore
from data.synthetic import SyntheticConfig, synthetic_panel
from search_spaces.config import TrialConfig
from search_spaces.train import TrainConfig
from tests.trial.training import SMALL, SWEEP, Trained, run
from tests.trial.webhook import Server, listening
from trial.cluster import cluster
from trial.request import SweepRequest
from trial.resources import Resources
from trial.run import run_sweep
from trial.settings import Settings
from trial.state import TrainState, new_state

SWEEP_MARKET = SyntheticConfig(num_stocks=16, num_days=420, num_sectors=3, seed=5)
MORE_DAYS = 60
PRICES = ["open", "high", "low", "close"]


@pytest.fixture(scope="session")
def ray_head() -> Iterator[str]:
    """The address of the tests' own Ray head, whose workers give way to nobody: other tests keep the cores busy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        with cluster(None, Resources(), Settings()):
            yield ray.get_runtime_context().gcs_address


@pytest.fixture(scope="session")
def sweep_panel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 stocks x 420 days: long enough for every fold at the default horizons."""
    return synthetic_panel(tmp_path_factory.mktemp("market"), SWEEP_MARKET)


@pytest.fixture(scope="session")
def later_panel(sweep_panel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same market, MORE_DAYS later than any sweep saw or held out: its last days' returns once more."""
    frame = pd.read_parquet(sweep_panel)
    days = np.sort(frame["date"].unique())
    dates = pd.bdate_range(days[-1], periods=MORE_DAYS + 1)[1:].date
    again = frame[frame["date"] > days[-MORE_DAYS - 1]].copy()
    close = frame.pivot(index="date", columns="code", values="close").ffill()
    growth = again["code"].map(close.iloc[-1] / close.iloc[-MORE_DAYS - 1]).astype(np.float32)
    again[PRICES] = again[PRICES].mul(growth, axis=0)
    again["date"] = again["date"].map(dict(zip(days[-MORE_DAYS:], dates, strict=True)))
    path = tmp_path_factory.mktemp("later") / "market.parquet"
    pd.concat([frame, again]).to_parquet(path)
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, sweep_panel: Path) -> Trained:
    """One finished training that tests of several commands look at."""
    return Trained(tmp_path_factory.mktemp("train"), sweep_panel)


@pytest.fixture(scope="session")
def bundle(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the small training, in a folder where nothing else is."""
    folder = tmp_path_factory.mktemp("bundles") / "mine"
    done = run("trial.export", "small", "--trial", 0, "--out", folder, "--runs", trained.runs)
    assert done.returncode == 0, done.stderr
    assert "next       python -m trial.predict" in done.stdout
    return folder.rename(tmp_path_factory.mktemp("elsewhere") / "bundle")


@pytest.fixture(scope="session")
def swept(ray_head: str, sweep_panel: Path, tmp_path_factory: pytest.TempPathFactory) -> SweepRequest:
    """Search and confirm, done: two search trials, two seeds."""
    runs = tmp_path_factory.mktemp("runs")
    (runs / "data.yaml").write_text("horizons: [1, 5]\nwindow: 10\n")
    request = SweepRequest(
        space=SWEEP,
        trials=2,
        epochs=1,
        seeds=2,
        draws=0,
        arms=("sector",),
        scheduler="none",
        runs=runs,
        panel=sweep_panel,
        data_config=runs / "data.yaml",
    )
    run_sweep(request)
    return request


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """Of the small training."""
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    return path


@pytest.fixture
def webhook() -> Iterator[Server]:
    """A local server that remembers what it is told."""
    with listening() as server:
        yield server


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def config(small_config: DataConfig) -> TrialConfig:
    train = TrainConfig(epochs=4, days_per_epoch=48, days_per_step=16, horizon_weights=(1.0, 0.8))
    return TrialConfig(data=small_config, train=train).replace(**{"model.hidden": 16})


@pytest.fixture
def blocks(small_store: MarketStore, config: TrialConfig) -> FoldBlocks:
    return FoldBlocks(small_store, small_store.splits(config.data).search, config.data, config.train.block_days)


@pytest.fixture
def state(blocks: FoldBlocks, config: TrialConfig) -> TrainState:
    return new_state(config, blocks)
