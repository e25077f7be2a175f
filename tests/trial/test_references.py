"""`trial.references`: ridge and LightGBM beside a training."""

from __future__ import annotations

import pytest

from tests.trial.training import Trained, run


def test_references_stand_beside_it_on_a_terminal_of_80(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    arguments = ("--data", trained.panel, "--runs", trained.runs, "--beside", "small")
    done = run("trial.references", trained.config, *arguments)
    assert done.returncode == 0, done.stderr
    for words in ("ridge (", "lightgbm (", "small by seed", "seed 0, trial 0", "overall", "less ridge", "  std. error"):
        assert words in done.stdout
    refused = run(
        "trial.references", trained.config, "--data", trained.panel, "--runs", trained.runs, "--only", "oracle"
    )
    assert refused.returncode == 2
    assert "must be one of ridge, lightgbm" in refused.stderr
