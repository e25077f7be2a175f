"""`trial.calibrate`: the statistics' counts as a table and a file, and an exit status that says whether they hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import trial.calibrate
from reports.calibration import Calibration, Rate
from reports.inference.simulated import Setting
from trial.calibrate import app

SETTING = Setting(120, 5)
SOUND = Calibration(SETTING, Rate(5, 100), Rate(0, 0), Rate(380, 400), Rate(96, 100), Rate(0, 0), 6.0)


def test_the_counts_are_shown_and_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    planted = replace(SETTING, effects=(-0.05, 0.0))
    monkeypatch.setattr(trial.calibrate, "SETTINGS", [SETTING, planted])
    arguments = ["statistics", "--markets", "12", "--seed", "3", "--jobs", "1", "--json", str(tmp_path / "counts.json")]
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)
    assert result.exit_code in (0, 1), result.output
    null, found = json.loads((tmp_path / "counts.json").read_text())
    assert (null["false"]["number"], null["covered"]["number"], null["found"]["number"]) == (12, 48, 0)
    assert (found["setting"]["effects"], found["found"]["number"]) == ([-0.05, 0.0], 12)
    assert "-0.05" in result.output
    assert f"{found['found']['hits'] / 12:.1%} (" in result.output


@pytest.mark.parametrize(
    ("counted", "status", "words"),
    [
        (SOUND, 0, "all 1 settings: at most 6% false"),
        (replace(SOUND, false=Rate(7, 100)), 0, "not told apart from the nominal share by so few markets"),
        (replace(SOUND, false=Rate(130, 2000)), 1, "6.5% (5.5% .. 7.7%) of the markets got a false word"),
        (replace(SOUND, covered=Rate(370, 400)), 1, "92.5% (89.5% .. 94.9%) of the intervals hold the truth"),
    ],
)
def test_what_does_not_hold_is_said_and_fails(
    monkeypatch: pytest.MonkeyPatch, counted: Calibration, status: int, words: str
) -> None:
    class Here:
        """A pool that has counted already."""

        def __init__(self, *_: object, **__: object) -> None: ...

        def __enter__(self) -> Here:
            return self

        def __exit__(self, *_: object) -> None: ...

        def map(self, function: object, work: object) -> list[Calibration]:
            return [counted]

    monkeypatch.setattr(trial.calibrate, "SETTINGS", [SETTING])
    monkeypatch.setattr(trial.calibrate, "ProcessPoolExecutor", Here)
    result = CliRunner().invoke(app, ["statistics"])
    assert result.exit_code == status, result.output
    assert words in result.output
