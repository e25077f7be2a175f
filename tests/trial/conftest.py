"""Fixtures of the driver's tests: one Ray head for all of them, and a market that a sweep can run on in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from data.synthetic import SyntheticConfig, synthetic_panel
from trial.cluster import Resources, cluster
from trial.settings import Settings

SWEEP_MARKET = SyntheticConfig(num_stocks=16, num_days=420, num_sectors=3, seed=5)


@pytest.fixture(scope="session")
def ray_head() -> Iterator[str]:
    """The address of the tests' own Ray head."""
    with cluster(None, Resources(), Settings()):
        yield ray.get_runtime_context().gcs_address


@pytest.fixture(scope="session")
def sweep_panel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 stocks x 420 days: long enough for every fold at the default horizons."""
    return synthetic_panel(tmp_path_factory.mktemp("market"), SWEEP_MARKET)
