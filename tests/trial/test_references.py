"""`trial.references`: ridge and LightGBM beside a training."""

from __future__ import annotations

from tests.trial.training import Trained, run


def test_references_stand_beside_it(trained: Trained) -> None:
    arguments = ("--data", trained.panel, "--runs", trained.runs, "--beside", "small")
    done = run("trial.references", trained.config, *arguments)
    assert done.returncode == 0, done.stderr
    for words in ("ridge (", "lightgbm (", "small trial 0, seed 0", "neutral", "less ridge", "standard error"):
        assert words in done.stdout
    refused = run(
        "trial.references", trained.config, "--data", trained.panel, "--runs", trained.runs, "--only", "oracle"
    )
    assert refused.returncode == 2
    assert "must be one of ridge, lightgbm" in refused.stderr
