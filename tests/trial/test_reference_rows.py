"""Simple predictors on confirm folds: fitted once per data, scored on the study's own days, blind to the future."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.storages import RDBStorage
from rich.console import Console

from data.store import MarketStore
from model.metrics import rank_ic
from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from storage.database import open_storage
from storage.references import read_references
from storage.study import StudyStore
from trial import run
from trial.reference_rows import forget_references_of_others, keep_reference, missing_references
from trial.stopping import StopRequest

STUDY = "demo.confirm"


@pytest.fixture
def storage(tmp_path: Path) -> RDBStorage:
    return open_storage(f"sqlite:///{tmp_path}/sweeps.db")


def keep_all(storage: RDBStorage, config: TrialConfig, market: MarketStore) -> list[tuple[str, str]]:
    wanted = list(missing_references(storage, STUDY, config, market))
    for name, fold, key in wanted:
        keep_reference(storage, STUDY, name, fold, key, config, market)
    return [(name, fold) for name, fold, _ in wanted]


def test_each_is_fitted_once_for_its_data(storage: RDBStorage, config: TrialConfig, small_store: MarketStore) -> None:
    folds = small_store.splits(config.data).confirm
    names = {"ridge", "lightgbm", "last_value", "random"}
    assert set(keep_all(storage, config, small_store)) == {(name, fold.name) for name in names for fold in folds}
    assert keep_all(storage, config.replace(**{"model.hidden": 64}), small_store) == []
    for change in ({"data.clip": 4.0}, {"seed": 5}):
        other = config.replace(**change)
        assert len(list(missing_references(storage, STUDY, other, small_store))) == len(names) * len(folds)
    for kept in read_references(storage, STUDY):
        (fold,) = (fold for fold in folds if fold.name == kept.fold)
        assert list(kept.result["daily_rank_ic"]) == [str(small_store.dates[day]) for day in fold.score]
        assert kept.result["horizons"] == list(config.data.horizons)
        assert -1 <= kept.result["scorecard"]["rank_ic"] <= 1


def test_those_of_other_data_are_forgotten_when_a_study_is_about_new_ones(
    storage: RDBStorage, config: TrialConfig, small_store: MarketStore
) -> None:
    study = StudyStore(storage, STUDY)
    keep_reference(storage, STUDY, "last_value", "confirm-1", "of other data", config, small_store)
    for name, fold, key in missing_references(storage, STUDY, config, small_store):
        if name == "random":
            keep_reference(storage, STUDY, name, fold, key, config, small_store)
    forget_references_of_others(study, config, small_store)
    assert {one.name for one in read_references(storage, STUDY)} == {"random"}
    forget_references_of_others(study, config.replace(seed=5), small_store)
    assert read_references(storage, STUDY) == []


def test_the_last_value_is_the_latest_return_that_was_over(
    storage: RDBStorage, config: TrialConfig, small_store: MarketStore
) -> None:
    fold = small_store.splits(config.data).confirm[0]
    keep_reference(storage, STUDY, "last_value", fold.name, "key", config, small_store)
    (kept,) = read_references(storage, STUDY)
    day, horizon, delay = fold.score[3], config.data.horizons[-1], config.data.delay
    # a label of day d is over at the close of d + delay + horizon
    score = np.nan_to_num(small_store.labels[day - delay - horizon, :, -1])[None, :, None]
    label = np.array(small_store.labels[day, :, -1])[None, :, None]
    mask = np.isfinite(label) & np.array(small_store.eligible[day])[None, :, None]
    expected = rank_ic(score, np.nan_to_num(label), mask, config.data.min_stocks)[0, 0]
    assert kept.result["daily_rank_ic"][str(small_store.dates[day])][-1] == pytest.approx(expected)


def test_one_that_cannot_be_fitted_is_left_out_and_told(
    storage: RDBStorage, config: TrialConfig, small_store: MarketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the sweep depends on it, so the report comes all the same."""

    def keep(storage: RDBStorage, study: str, name: str, *rest: Any) -> None:
        if name == "ridge":
            raise SpaceError("too few training days")
        keep_reference(storage, study, name, *rest)

    monkeypatch.setattr(run, "keep_reference", keep)
    console = Console(file=io.StringIO(), width=200)
    run.keep_references(storage, STUDY, config, small_store, StopRequest(None), console)
    assert {kept.name for kept in read_references(storage, STUDY)} == {"lightgbm", "last_value", "random"}
    assert "ridge on confirm-1 is left out: too few training days" in console.file.getvalue()
