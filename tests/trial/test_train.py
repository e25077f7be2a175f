"""`trial.train`: one configuration, from the command line, on a small market: what it says and records."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import trial.train
from storage.database import open_existing
from storage.provenance import read_provenance
from storage.record import read_records
from tests.trial.study_checks import check_truth, open_study
from tests.trial.training import ROOT, Trained, phased_file, run
from trial.keeper import CHECKPOINT


def test_it_trains_records_and_says_what_it_found(trained: Trained) -> None:
    assert trained.done.returncode == 0, trained.done.stderr
    for words in (
        "    epoch     loss   RankIC       1d",
        "\n        2 ",
        "COMPLETE",
        "RankIC",
        "neutral",
        "Sharpe, net",
        "RankIC by sector",
        "RankIC by liquidity",
    ):
        assert words in trained.done.stdout
    check_truth(trained.runs, "small", finished=1)
    (record,) = open_study(trained.runs, "small")[1]
    folder = trained.runs / "small" / "0" / "0"
    assert {path.name for path in folder.iterdir()} == {
        CHECKPOINT,
        "predictions.parquet",
        "scaler.json",
        "weights.safetensors",
        "log.jsonl",
    }
    card = record.curve[-1]["scorecard"]
    assert {"rank_ic/5", "rank_icir/5", "ic/5", "neutral_rank_ic/5", "top_minus_bottom/5", "hit_rate/5"} <= card.keys()
    assert card["rank_ic"] == pytest.approx(record.value)
    assert all(value == value for value in card.values()), "never NaN"


def test_its_provenance_is_in_the_store(trained: Trained) -> None:
    storage = open_existing(f"sqlite:///{trained.runs}/sweeps.db")
    (record,) = read_records(storage, "small")
    known = read_provenance(storage.engine, record.attributes["provenance"])
    assert {"code", "git", "diff", "packages", "hardware"} <= known.keys()
    study = open_study(trained.runs, "small")[0]
    assert {"panel", "store", "market"} <= study.user_attrs.keys()
    assert record.attributes["machine"]["threads"] == 1


def test_the_log_is_json_bound_to_the_trial(trained: Trained) -> None:
    lines = [yaml.safe_load(line) for line in (trained.runs / "small/0/0/log.jsonl").read_text().splitlines()]
    starts = [line for line in lines if line["event"].startswith("trial starts")]
    assert len(starts) == 1, "one line per trial at INFO"
    assert (starts[0]["study"], starts[0]["trial"], starts[0]["seed"]) == ("small", 0, 0)
    assert starts[0]["level"] == "info"
    assert not [line for line in lines if line["level"] == "debug"]


def test_the_command_that_goes_on_has_no_limit() -> None:
    given = ["a.yaml", "--max-steps", "3", "--seed", "1"]
    assert trial.train.going_on(given) == ["a.yaml", "--seed", "1"]
    assert trial.train.going_on(["--max-steps=3", "a.yaml"]) == ["a.yaml"]
    assert trial.train.going_on(["a.yaml", "--phase", "base"], "rest") == ["a.yaml", "--phase", "rest"]
    assert trial.train.going_on(["a.yaml", "--resume-checkpoint", "old", "--seed", "1"]) == ["a.yaml", "--seed", "1"]


def test_a_phase_is_trained_alone_and_the_next_goes_on(sweep_panel: Path, tmp_path: Path) -> None:
    arguments = ("trial.train", phased_file(tmp_path), "--data", sweep_panel, "--runs", tmp_path / "runs")
    too_early = run(*arguments, "--phase", "rest")
    assert too_early.returncode == 2
    assert "this training has 0 behind it" in too_early.stderr
    assert open_study(tmp_path / "runs", "phased")[1] == [], "no trial was begun"
    first = run(*arguments, "--phase", "base")
    assert first.returncode == 0, first.stderr
    assert "after phase base, as --phase asks" in first.stdout
    assert re.search(r"^ +2 .* base$", first.stdout, re.MULTILINE)
    assert not re.search(r"^ +3 .* rest$", first.stdout, re.MULTILINE)
    checkpoint = next((tmp_path / "runs").glob(f"phased/*/*/{CHECKPOINT}"))
    elsewhere = ("--runs", tmp_path / "other", "--phase", "rest", "--resume-checkpoint", checkpoint)
    second = run("trial.train", tmp_path / "phased.yaml", "--data", sweep_panel, *elsewhere)
    assert second.returncode == 0, second.stderr
    assert "by phase" in second.stdout
    assert re.search(r"^ rest .* 1\.00e-04 ", second.stdout, re.MULTILINE), "the phase's own peak rate"
    records = open_study(tmp_path / "other", "phased")[1]
    assert [result["phase"] for result in records[-1].curve] == ["base", "base", "rest"]
    unknown = run(*arguments, "--phase", "nobody")
    assert unknown.returncode == 2
    assert "(base, rest), got 'nobody'" in unknown.stderr


@pytest.mark.parametrize("template", ["minimal", "production", "five_phases"])
def test_the_templates_train(template: str, sweep_panel: Path, tmp_path: Path) -> None:
    path = ROOT / "configs/templates" / f"{template}.yaml"
    done = run("trial.train", path, "--data", sweep_panel, "--runs", tmp_path, "--max-steps", 2)
    assert done.returncode == 0, done.stderr
    assert "after 2 steps" in done.stdout
