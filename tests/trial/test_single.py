"""A single training that is stopped, cannot write, or fails: what is kept, and that the same command goes on."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

import trial.keeper
import trial.recording
import trial.session
import trial.single
from storage.database import open_existing, open_storage
from storage.record import read_events
from storage.study import StudyStore
from tests.trial.study_checks import check_truth, open_study
from tests.trial.training import ROOT, SMALL, Trained, run, run_apart
from tests.trial.webhook import Server
from trial.checkpoint import read_checkpoint
from trial.keeper import CHECKPOINT


def test_max_steps_stops_and_the_same_command_goes_on_bit_for_bit(
    config_file: Path, sweep_panel: Path, tmp_path: Path, trained: Trained
) -> None:
    arguments = ("trial.train", config_file, "--data", sweep_panel, "--runs", tmp_path / "runs")
    stopped = run(*arguments, "--max-steps", 3)
    assert stopped.returncode == 0, stopped.stderr
    assert "after 3 steps, as --max-steps asks; nothing is lost" in stopped.stdout
    checkpoint = read_checkpoint(tmp_path / "runs/small/0/0" / CHECKPOINT)[1]
    assert checkpoint["step"] == 3
    again = run(*arguments, "--max-steps", 2)
    assert again.returncode == 0, again.stderr
    assert "after 3 steps, as --max-steps asks" in again.stdout, "no step more"
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    check_truth(tmp_path / "runs", "small", finished=1)
    (resumed,), (whole,) = (open_study(runs, "small")[1] for runs in (tmp_path / "runs", trained.runs))
    assert resumed.value == whole.value
    assert resumed.attributes["attempts"] == 3


def test_a_damaged_checkpoint_of_its_own_is_refused_and_the_trial_waits(
    config_file: Path, sweep_panel: Path, tmp_path: Path
) -> None:
    arguments = ("trial.train", config_file, "--data", sweep_panel, "--runs", tmp_path / "runs")
    assert run(*arguments, "--max-steps", 2).returncode == 0
    path = tmp_path / "runs/small/0/0" / CHECKPOINT
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused = run(*arguments)
    assert (refused.returncode, refused.stdout) == (2, ""), "nothing of it is used, not its step either"
    assert [record.state for record in open_study(tmp_path / "runs", "small")[1]] == ["WAITING"]
    path.write_bytes(whole)
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "goes on    after epoch 0, step 2" in done.stdout
    assert [record.state for record in open_study(tmp_path / "runs", "small")[1]] == ["COMPLETE"]


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_disk_at_the_end_costs_nothing_but_another_start(
    config_file: Path, sweep_panel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("trial.train", config_file, "--data", sweep_panel, "--runs", tmp_path / "runs")
    with monkeypatch.context() as patch:
        patch.setattr(trial.session, "write_predictions", full)
        stopped = run(*arguments)
    assert stopped.returncode == 1
    assert "since its predictions could not be written: [Errno 28]" in stopped.stdout
    assert "but not all is kept. Make room." in " ".join(stopped.stdout.split())
    assert [record.state for record in open_study(tmp_path / "runs", "small")[1]] == ["WAITING"]
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "\n        1 " not in done.stdout, "nothing is trained again"
    check_truth(tmp_path / "runs", "small", finished=1)


def test_a_disk_that_was_full_throughout_begins_again_and_says_so(
    config_file: Path, sweep_panel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("trial.train", config_file, "--data", sweep_panel, "--runs", tmp_path / "runs")
    with monkeypatch.context() as patch:
        patch.setattr(trial.session, "write_predictions", full)
        patch.setattr(trial.keeper, "save_state", full)
        stopped = run(*arguments)
    assert stopped.returncode == 1
    assert "not all is kept; there is no checkpoint, so that it begins again. Make room." in " ".join(
        stopped.stdout.split()
    )
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "begins     again without a checkpoint; the 1 epochs known are not shown twice" in done.stdout
    check_truth(tmp_path / "runs", "small", finished=1)


def test_a_trial_that_died_before_its_first_attribute_is_gone_on_with(
    config_file: Path, sweep_panel: Path, tmp_path: Path
) -> None:
    study = StudyStore(open_storage(f"sqlite:///{tmp_path}/sweeps.db"), "small")
    study.define({"space": "train"})
    study.ask()  # and the process is killed
    done = run("trial.train", config_file, "--data", sweep_panel, "--runs", tmp_path, "--max-steps", 1)
    assert done.returncode == 0, done.stderr
    assert [record.state for record in open_study(tmp_path, "small")[1]] == ["WAITING"]


def test_a_full_disk_when_stopped_is_not_called_saved(
    config_file: Path, sweep_panel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial.keeper, "save_state", full)
    stopped = run("trial.train", config_file, "--data", sweep_panel, "--runs", tmp_path / "runs", "--max-steps", 2)
    assert stopped.returncode == 1
    assert "nothing is lost" not in stopped.stdout
    assert "the checkpoint after step 2 could not be written" in " ".join(stopped.stdout.split())
    with open_existing(f"sqlite:///{tmp_path}/runs/sweeps.db").engine.connect() as connection:
        kinds = connection.execute(sa.text("select kind from sweep_events")).scalars().all()
    assert kinds == ["checkpoint_failed"]


def test_a_store_on_a_full_disk_is_said_in_words_and_the_same_command_goes_on(
    config_file: Path, sweep_panel: Path, tmp_path: Path
) -> None:
    arguments = ("trial.train", config_file, "--data", sweep_panel, "--runs", tmp_path / "runs")
    assert run(*arguments, "--max-steps", 2).returncode == 0
    stopped = run_apart(*arguments, largest_file=60_000)  # more than the lease takes, less than an epoch does
    assert stopped.returncode == 1
    (said,) = [line for line in stopped.stderr.splitlines() if line.startswith("error: ")]
    assert "the store must take reads and writes, but it does not: disk" in said
    assert "Traceback" not in stopped.stderr
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    check_truth(tmp_path / "runs", "small", finished=1)


def test_a_store_that_is_away_for_a_while_leaves_the_trial_waiting(
    config_file: Path, sweep_panel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial.recording, "record_epoch", away)
    stopped = run("trial.train", config_file, "--data", sweep_panel, "--runs", tmp_path / "runs")
    assert stopped.returncode == 1
    assert "it does not: the server is gone. Look at" in stopped.stderr
    assert [record.state for record in open_study(tmp_path / "runs", "small")[1]] == ["WAITING"]


def away(*_: object) -> None:
    raise sa.exc.OperationalError("INSERT", {}, sqlite3.OperationalError("the server is gone"))


def test_a_failure_is_told_to_the_webhook(
    config_file: Path, sweep_panel: Path, tmp_path: Path, webhook: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the injected loop gave up")

    monkeypatch.setattr(trial.single, "run_attempt", broken)
    with pytest.raises(RuntimeError, match="gave up"):
        run(
            "trial.train",
            config_file,
            "--data",
            sweep_panel,
            "--runs",
            tmp_path / "runs",
            env={"ATFT_NOTIFY_URL": webhook.address},
        )
    assert [told["text"] for told in webhook.heard] == ["training small: FAIL: RuntimeError: the injected loop gave up"]
    (record,) = open_study(tmp_path / "runs", "small")[1]
    assert (record.state, record.reason) == ("FAIL", "error")


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_signal_saves_within_the_grace_time(
    config_file: Path, sweep_panel: Path, tmp_path: Path, number: signal.Signals
) -> None:
    config_file.write_text(yaml.safe_dump(SMALL | {"train": {"epochs": 500, "days_per_epoch": 64}}))
    command = [sys.executable, "-m", "trial.train", str(config_file), "--data", str(sweep_panel)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [*command, "--runs", str(tmp_path / "runs")], cwd=ROOT, env=environment, text=True, stdout=-1, stderr=-1
    )
    deadline = time.monotonic() + 90
    while not list((tmp_path / "runs").glob(f"small/0/0/{CHECKPOINT}")) and time.monotonic() < deadline:
        time.sleep(0.1)
    sent = time.monotonic()
    process.send_signal(number)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert time.monotonic() - sent < 15
    assert f"interrupted by {number.name}; nothing is lost" in output
    assert "Traceback" not in errors
    _, (record,) = open_study(tmp_path / "runs", "small")
    assert record.state == "WAITING"
    (event,) = read_events(open_existing(f"sqlite:///{tmp_path}/runs/sweeps.db"), "small")
    assert (event.kind, event.message) == ("interrupted", f"attempt 0: interrupted by {number.name}; it waits")
    content = read_checkpoint(tmp_path / "runs/small/0/0" / CHECKPOINT)[1]
    assert content["epoch"] >= len(record.curve)
