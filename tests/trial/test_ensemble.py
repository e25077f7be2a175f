"""Ensembles of a finished sweep: chosen by the search fold, judged by the confirm folds, exported as judged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.evidence import read_evidence
from storage.database import open_storage
from storage.record import read_records
from tests.trial.training import SWEEP, run
from trial.production.bundle import read_bundle
from trial.production.pool import pool_of
from trial.request import SweepRequest


def by_hand(trials: list[Path], horizon: int) -> pd.Series:
    """Daily RankIC of the standardised scores' mean, by pandas."""
    frames = [pd.read_parquet(path).set_index(["date", "code"]) for path in trials]
    scores = [frame[f"score_{horizon}d"] for frame in frames]
    each = [score.groupby(level=0).transform(lambda day: (day - day.mean()) / day.std(ddof=0)) for score in scores]
    label = frames[0][f"return_{horizon}d"].rename("label")
    both = pd.concat([sum(each).rename("score"), label], axis=1).dropna()
    return both.groupby(level=0).apply(lambda day: day["score"].corr(day["label"], method="spearman"))


def place_of(record) -> Path:  # type: ignore[no-untyped-def]
    return Path(record.attributes["predictions"])


def test_seeds_together_are_judged_on_confirm_days(swept: SweepRequest) -> None:
    done = run("trial.ensemble", SWEEP, "--runs", swept.runs)
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("seeds"))
    storage = open_storage(swept.storage_url)
    confirm = read_evidence(storage, SWEEP).confirm
    assert confirm is not None
    arm = confirm.attributes["winner"]["arm"]
    own = [record for record in read_records(storage, f"{SWEEP}.confirm") if record.arm == arm]
    folds = sorted({record.fold for record in own})
    together = pd.concat([by_hand([place_of(r) for r in own if r.fold == fold], 5) for fold in folds]).dropna()
    assert f"{together.mean():+.4f} against" in line
    assert f"{len(together)} confirm days" in line


def test_a_pool_is_what_its_trials_said_on_days_of_all(swept: SweepRequest) -> None:
    records = [r for r in read_records(open_storage(swept.storage_url), SWEEP) if r.state == "COMPLETE"]
    assert len(records) == 2
    pool = pool_of(records, 5)
    found = dict(zip(pool.days, pool.daily(pool.score_MDN.mean(axis=0)), strict=True))
    expected = by_hand([place_of(record) for record in records], 5)
    expected.index = expected.index.astype(str).str[:10]
    assert np.allclose([found[day] for day in expected.index], expected, equal_nan=True)


def test_a_greedy_ensemble_is_exported_as_it_was_judged(swept: SweepRequest, tmp_path: Path) -> None:
    missing = run("trial.export", SWEEP, "--ensemble", "greedy", "--runs", tmp_path, "--storage", swept.storage_url)
    assert (missing.returncode, "trial.ensemble graph" in missing.stderr) == (2, True)
    options = ("--top", 2, "--size", 5, "--data", swept.panel, "--storage", swept.storage_url)
    done = run("trial.ensemble", SWEEP, "--runs", swept.runs, *options)
    assert done.returncode == 0, done.stderr
    assert "by these it was chosen" in done.stdout
    found = json.loads((swept.runs / SWEEP / "ensemble.json").read_text())
    times = {trial: count for trial, count, _ in found["members"]}

    out = tmp_path / "bundle"
    done = run("trial.export", SWEEP, "--ensemble", "greedy", "--runs", swept.runs, "--out", out)
    assert done.returncode == 0, done.stderr
    networks = read_bundle(out).networks
    assert list(networks.shares) == list(times.values())
    assert json.loads((out / "expected.json").read_text()) == found["expected"]
    assert "the search chose the ensemble" in (out / "model_card.md").read_text()
    assert found["sentence"] in (out / "model_card.md").read_text()


def test_seeds_are_exported_together(swept: SweepRequest, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    done = run("trial.export", SWEEP, "--ensemble", 2, "--runs", swept.runs, "--out", out)
    assert done.returncode == 0, done.stderr
    assert [member.config.seed for member in read_bundle(out).networks.members] == [0, 1]


@pytest.mark.parametrize("words", [("--ensemble", "best"), ("--ensemble", "0"), ("--ensemble", "2", "--trial", "0")])
def test_another_ensemble_is_refused(swept: SweepRequest, words: tuple[str, ...]) -> None:
    assert run("trial.export", SWEEP, *words, "--runs", swept.runs).returncode == 2


def test_one_trial_is_nothing_to_choose_among(trained, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = run("trial.ensemble", "small", "--runs", trained.runs)
    assert done.returncode == 2
    assert "2 trials or more" in done.stderr
