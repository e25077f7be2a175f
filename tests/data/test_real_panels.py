"""Both real panels prepare with their own fold lengths into the shapes that their README names."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from data.config import DataConfig, SplitConfig
from data.features import FEATURES
from data.inspect import inspect
from data.prepare import prepare
from data.settings import suited
from data.splits import audit_splits, prove_purged

FOLDER = Path(__file__).parents[2].parent / "shared" / "data"


class RealPanel(NamedTuple):
    """What the README of the folder says."""

    file: str
    num_stocks: int
    num_days: int
    missing_share: float
    doubts: set[str]  # checks that its README's quirks must set off


PANELS = [
    RealPanel("sp500_2015_2021.parquet", 468, 1597, 0.0129, {"large return", "survivorship"}),
    RealPanel("nasdaq_2013_2017.parquet", 880, 1274, 0.0006, {"large return", "survivorship"}),
]


@pytest.fixture
def prepared(tmp_path: Path) -> Iterator[Path]:
    """A folder for a store of hundreds of megabytes, which pytest would keep for three more runs."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.file)
def test_a_real_panel_prepares_into_a_store_that_passes_the_audit(panel: RealPanel, prepared: Path) -> None:
    path = FOLDER / panel.file
    if not path.exists():
        pytest.skip(f"the real panel {panel.file} is not in {FOLDER}; its licence keeps it out of the repository")
    config = suited(DataConfig(), path)
    assert config.splits == SplitConfig.for_market(panel.num_days)
    store = prepare(path, prepared, config)
    num_days = panel.num_days - config.splits.holdout_days
    assert store.features.shape == (num_days, panel.num_stocks, len(FEATURES))
    assert store.labels.shape == (num_days, panel.num_stocks, 4)
    assert 1 - np.asarray(store.present).mean() == pytest.approx(panel.missing_share, abs=0.01)
    graphs = store.graphs(config.graph)
    assert graphs is not None
    assert 15 <= graphs.mean_degree <= 25
    splits = store.splits(config)
    audit_splits(splits, config)
    prove_purged(splits, config)
    assert [len(fold.score) for fold in splits.folds] == [config.splits.search_days, *[config.splits.confirm_days] * 2]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.file)
def test_a_real_panel_is_accepted_with_the_doubts_that_it_deserves(panel: RealPanel) -> None:
    path = FOLDER / panel.file
    if not path.exists():
        pytest.skip(f"the real panel {panel.file} is not in {FOLDER}; its licence keeps it out of the repository")
    findings = inspect(path).findings
    assert {finding.severity for finding in findings} == {"doubt"}
    assert {finding.check for finding in findings} == panel.doubts
