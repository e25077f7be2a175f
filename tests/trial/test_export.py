"""A bundle from a finished trial, carried elsewhere: it says what the trial said, or says why it does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from storage.bundle import MANIFEST, BundleError
from tests.trial.training import Trained, run, run_apart
from trial.production.bundle import read_bundle


def stored(trained: Trained) -> pd.DataFrame:
    (path,) = trained.runs.glob("small/0/*/predictions.parquet")
    return pd.read_parquet(path).set_index(["date", "code"])


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_it_is_complete_and_nothing_of_it_is_pickled(bundle: Path) -> None:
    assert files_of(bundle) == [
        MANIFEST,
        "config.yaml",
        "expected.json",
        "metrics.json",
        "model_card.md",
        "monitor.yaml",
        "provenance.json",
        "trial-0/0/config.yaml",
        "trial-0/0/predictions.parquet",
        "trial-0/0/scaler.json",
        "trial-0/0/weights.safetensors",
        "trial-0/baseline.npz",
        "trial-0/features.json",
        "trial-0/fingerprint.npz",
        "trial-0/set.json",
    ]
    metrics = json.loads((bundle / "metrics.json").read_text())
    assert metrics["members"][0]["trial"] == 0
    assert "rank_ic/5" in metrics["members"][0]
    provenance = json.loads((bundle / "provenance.json").read_text())
    assert provenance["trained_by"]["code"] == provenance["exported_by"]["code"]
    assert "named by hand" in (bundle / "model_card.md").read_text()


def test_a_process_that_sees_nothing_else_predicts_what_the_trial_did(
    bundle: Path, trained: Trained, tmp_path: Path
) -> None:
    panel = Path(shutil.copy(trained.panel, tmp_path / "panel.parquet"))
    out = tmp_path / "scores.parquet"
    arguments = (bundle, panel, "--runs", tmp_path / "runs", "--date", "all", "--out", out)
    done = run_apart("trial.predict", *arguments)
    assert done.returncode == 0, done.stderr
    assert "ms a day" in done.stdout
    scores = pd.read_parquet(out).set_index(["date", "code"])
    then = stored(trained)
    names = [name for name in scores.columns if name.startswith("score_")]
    assert names == ["score_1d", "score_5d", "score_10d", "score_20d"]
    assert np.abs(scores.loc[then.index, names] - then[names]).to_numpy().max() <= 1e-6


def test_it_is_verified_with_a_panel_by_a_fresh_process(bundle: Path, trained: Trained, tmp_path: Path) -> None:
    done = run_apart("trial.verify", bundle, trained.panel, "--runs", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "predictions of member 0 within" in done.stdout


def test_a_byte_flipped_in_any_file_is_refused_by_its_name(bundle: Path, trained: Trained, tmp_path: Path) -> None:
    for name in files_of(bundle):
        altered = Path(shutil.copytree(bundle, tmp_path / "altered", dirs_exist_ok=True))
        content = bytearray((altered / name).read_bytes())
        content[len(content) // 2] ^= 0x10
        (altered / name).write_bytes(content)
        done = run("trial.predict", altered, trained.panel, "--runs", tmp_path)
        assert done.returncode == 2, name
        assert done.stdout == ""
        assert f"{name} altered" in done.stderr or (name == MANIFEST and f"{MANIFEST} of" in done.stderr)


def test_it_goes_to_a_new_folder_or_over_a_bundle_by_force(bundle: Path, trained: Trained, tmp_path: Path) -> None:
    there = Path(shutil.copytree(bundle, tmp_path / "there"))
    again = ("trial.export", "small", "--trial", 0, "--out", there, "--runs", trained.runs)
    before = (there / MANIFEST).read_bytes()
    refused = run(*again)
    assert refused.returncode == 2
    assert "give --force" in refused.stderr
    assert (there / MANIFEST).read_bytes() == before
    assert run(*again, "--force").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there"]
    (tmp_path / "mine").mkdir()
    assert "is none" in run(*again[:5], tmp_path / "mine", *again[6:], "--force").stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("small", "--trial", 7), "must be one of 0 to 0, got 7"),
        (("small",), "an export takes the winner that was confirmed, but the confirm stage was not run"),
        (("nobody",), "must be one of: small; got 'nobody'"),
        (("small", "--trial", 0, "--ensemble", 2), "--trial or of --ensemble"),
    ],
)
def test_what_cannot_be_exported_is_refused(trained: Trained, arguments: tuple[object, ...], words: str) -> None:
    done = run("trial.export", *arguments, "--runs", trained.runs)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert not list(trained.runs.glob("**/*.tmp"))


def test_a_trial_that_lost_a_file_is_refused_by_name(trained: Trained, tmp_path: Path) -> None:
    (weights,) = trained.runs.glob("small/0/*/weights.safetensors")
    moved = weights.rename(tmp_path / "weights.safetensors")
    try:
        done = run("trial.export", "small", "--trial", 0, "--runs", trained.runs)
    finally:
        shutil.move(moved, weights)
    assert done.returncode == 2
    assert "lacks weights.safetensors" in done.stderr


def test_weights_that_say_something_else_are_not_published(trained: Trained, tmp_path: Path) -> None:
    (predictions,) = trained.runs.glob("small/0/*/predictions.parquet")
    kept = Path(shutil.copy(predictions, tmp_path / "kept.parquet"))
    frame = pd.read_parquet(predictions)
    frame["score_5d"] += np.float32(1e-3)
    frame.to_parquet(predictions)
    try:
        done = run("trial.export", "small", "--trial", 0, "--out", tmp_path / "bundle", "--runs", trained.runs)
    finally:
        shutil.copy(kept, predictions)
    assert done.returncode == 2
    assert "differs by 0.001" in done.stderr
    assert not (tmp_path / "bundle").exists()


@pytest.mark.long
def test_the_same_configuration_learns_on_through_a_later_day(bundle: Path, trained: Trained, tmp_path: Path) -> None:
    dates = sorted(pd.read_parquet(trained.panel)["date"].astype(str).str[:10].unique())
    folder, last = tmp_path / "bundle", dates[-30]
    export = ("trial.export", "small", "--trial", 0, "--out", folder, "--runs", trained.runs)
    late = run(*export, "--through", "2035-01-01")
    assert late.returncode == 2
    assert f"it ends with {dates[-1]}" in late.stderr
    assert not list(tmp_path.iterdir()), "nothing half-written stays"
    early = run(*export, "--through", read_bundle(bundle).networks.trained_through)
    assert early.returncode == 2
    assert "to learn from later days than" in early.stderr
    done = run(*export, "--through", last)
    assert done.returncode == 0, done.stderr
    newest, parent = read_bundle(folder), read_bundle(folder, "trial-0")
    assert newest.networks.name == f"through-{last}"
    assert str(newest.networks.trained_through) == dates[-30 - 21], "whose label of 20 days, a day later, ends there"
    assert parent.networks.trained_through < newest.networks.trained_through
    own = [each.networks.members[0].model.state_dict() for each in (newest, parent)]
    assert any(not torch.equal(value, own[1][name]) for name, value in own[0].items())
    assert "**Nobody has scored it**" in (folder / "model_card.md").read_text()
    verified = run("trial.verify", folder, trained.panel, "--runs", tmp_path / "runs")
    assert verified.stdout.count("predictions of member 0 within") == 2, verified.stderr


def test_weights_are_loaded_strictly(bundle: Path) -> None:
    found = read_bundle(bundle)
    assert found.sets == ("trial-0",)
    with pytest.raises(BundleError, match="must be one of trial-0, got 'through'"):
        read_bundle(bundle, "through")
