"""What a person sees: plain lines where output is piped, a table on a terminal."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState
from rich.console import Console

from storage.database import open_storage
from storage.study import StudyStore
from tests.storage.helpers import report
from tests.trial.flights import flight
from trial.live import Display


@pytest.fixture
def study(tmp_path: Path) -> StudyStore:
    return StudyStore(open_storage(f"sqlite:///{tmp_path}/sweeps.db"), "demo")


def finish(study: StudyStore, number: int, state: TrialState, value: float | None, reason: str) -> None:
    study.set_attributes(study.study.get_trials(deepcopy=False)[number]._trial_id, {"reason": reason})
    study.tell(number, state, value)


def ask(study: StudyStore, count: int) -> None:
    for _ in range(count):
        study.ask().suggest_categorical("gat", (True, False))


def output(display: Display) -> str:
    assert isinstance(display.console.file, io.StringIO)
    return display.console.file.getvalue()


def plain(study: StudyStore, target: int) -> Display:
    return Display(Console(file=io.StringIO(), width=200), "search", study, target, epochs=4)


def test_each_finish_is_one_line_whatever_the_order(study: StudyStore) -> None:
    ask(study, 4)
    finish(study, 3, TrialState.COMPLETE, 0.03, "complete")
    with plain(study, 4) as display:
        for number, state, value, reason in (
            (1, TrialState.COMPLETE, 0.05, "complete"),
            (0, TrialState.PRUNED, None, "asha"),
            (2, TrialState.FAIL, None, "crash"),
        ):
            finish(study, number, state, value, reason)
            display.change(study, {})
            display.change(study, {})
    lines = output(display).splitlines()
    assert lines[0] == "search: 1 of 4 trials finished, starting"
    assert [line.split(",")[0].split(" [")[0] for line in lines[1:]] == [
        "search: 2/4 trial 1 COMPLETE RankIC +0.0500",
        "search: 3/4 trial 0 PRUNED (asha)",
        "search: 4/4 trial 2 FAIL (crash)",
    ]
    assert "left of this stage" in lines[1]


def test_a_terminal_gets_a_table_with_states_best_and_times(study: StudyStore) -> None:
    ask(study, 3)
    finish(study, 0, TrialState.COMPLETE, 0.0425, "complete")
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    with Display(console, "search", study, 3, epochs=4) as display:
        display.change(study, {})
        text = output(display)
    assert "demo: 1 of 3 trials" in text
    assert "COMPLETE" in text
    assert "RUNNING" in text
    assert "best +0.0425 (trial 0)" in text
    assert "elapsed 0:00" in text


def test_the_table_fits_a_small_terminal(study: StudyStore) -> None:
    ask(study, 30)
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True, color_system=None)
    with Display(console, "search", study, 30, epochs=4) as display:
        display.change(study, {})
        text = output(display)
    assert all(heading in text for heading in ("trial", "state", "epoch", "RankIC", "reason", "what"))
    assert text.count("RUNNING") == 12
    assert text.count("\n") < 24


def test_what_is_left_counts_what_trials_under_way_have_done(
    study: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(study, 2)
    now = [0.0]
    monkeypatch.setattr("trial.live.time", SimpleNamespace(monotonic=lambda: now[0]))
    with plain(study, 4) as display:
        now[0] = 100.0
        finish(study, 0, TrialState.COMPLETE, 0.05, "complete")
        half = flight(1, results=[{"epoch": 1}, {"epoch": 2}])  # and on average half an epoch of four
        display.change(study, {"a": half})
    assert "about 2:26 left of this stage" in output(display)


def test_what_is_left_of_all_stages_counts_later_trials_as_full_ones(
    study: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = study.ask()
    ask(study, 3)
    now = [0.0]
    monkeypatch.setattr("trial.live.time", SimpleNamespace(monotonic=lambda: now[0]))
    with Display(Console(file=io.StringIO(), width=200), "search", study, 4, epochs=4, later=10) as display:
        now[0] = 60.0
        study.record_epoch(report(asked, 1, 0.01))
        finish(study, 0, TrialState.PRUNED, None, "asha")  # a quarter of a full trial in a minute
        display.change(study, {})
    assert "about 3:00 left of this stage, 43:00 of all stages" in output(display)
