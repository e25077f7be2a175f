"""The driver killed or interrupted in mid-run, in a process of its own: the same command goes on, nothing is lost."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import trial.stop
from storage.errors import StorageError
from tests.trial.study_checks import check_truth, open_study
from trial.interrupt import TAKEN_AWAY, Farewell

ROOT = Path(__file__).resolve().parents[2]
TRIALS, EPOCHS = 3, 8
PATIENCE_SECONDS = 200  # on a machine that other tests keep busy


def command(runs: Path, panel: Path, address: str, trials: int = TRIALS) -> list[str]:
    options = {"--runs": runs, "--data": panel, "--address": address, "--trials": trials, "--epochs": EPOCHS}
    flat = [str(part) for pair in options.items() for part in pair]
    return [sys.executable, "-m", "trial.sweep", "gat_ablation", "--stage", "search", *flat]


def start(arguments: list[str], in_a_group: bool = False) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=-1,
        stderr=subprocess.STDOUT,
        process_group=0 if in_a_group else None,
    )


def wait_for_epochs(driver: subprocess.Popen[str], runs: Path, count: int) -> None:
    """Until the store holds `count` epochs of trials that are not all finished."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and driver.poll() is None:
        try:
            _, records = open_study(runs, "gat_ablation")
        except StorageError:
            records = []  # there is no store, or no study in it, yet
        if sum(len(record.curve) for record in records) >= count:
            return
        time.sleep(0.2)
    driver.kill()
    pytest.fail(f"no {count} epochs within {PATIENCE_SECONDS} s; the driver said: {driver.communicate()[0]}")


@pytest.mark.long
@pytest.mark.parametrize("epochs_before", [1, 4])
def test_sigkill_loses_nothing_and_repeats_nothing(
    ray_head: str, sweep_panel: Path, tmp_path: Path, epochs_before: int
) -> None:
    arguments = command(tmp_path, sweep_panel, ray_head)
    driver = start(arguments)
    wait_for_epochs(driver, tmp_path, epochs_before)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    _, before = open_study(tmp_path, "gat_ablation")
    assert any(record.state == "RUNNING" for record in before)
    again = subprocess.run(arguments, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True)
    assert again.returncode == 0, again.stderr.decode()
    running = [str(record.number) for record in before if record.state == "RUNNING"]
    assert f"to go on with: {', '.join(running)}" in again.stdout.decode()
    check_truth(tmp_path, "gat_ablation", finished=TRIALS)
    _, after = open_study(tmp_path, "gat_ablation")
    for old, new in zip(before, after, strict=False):
        assert new.params.items() >= old.params.items()
        assert new.curve[: len(old.curve)] == old.curve
        if old.state in ("COMPLETE", "PRUNED"):
            assert (new.state, new.value, new.attributes) == (old.state, old.value, old.attributes)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_signal_stops_cleanly_and_says_how_to_go_on(
    ray_head: str, sweep_panel: Path, tmp_path: Path, number: signal.Signals
) -> None:
    arguments = command(tmp_path, sweep_panel, ray_head)
    driver = start(arguments)
    wait_for_epochs(driver, tmp_path, 2)
    driver.send_signal(number)
    output, _ = driver.communicate(timeout=120)
    assert driver.returncode == 130, output
    assert f"interrupted by {number.name}; nothing is lost" in output
    assert "python -m trial.sweep gat_ablation --stage search" in output
    assert "Traceback" not in output
    study, _ = open_study(tmp_path, "gat_ablation")
    assert not [trial for trial in study.trials if trial.state.name == "RUNNING"]
    assert [trial for trial in study.trials if trial.state.name == "WAITING"]


@pytest.mark.long
def test_a_signal_to_the_whole_process_group_leaves_ray_to_the_driver(sweep_panel: Path, tmp_path: Path) -> None:
    """As `timeout`, a batch system or a terminal send it; the driver has started a Ray of its own."""
    arguments = command(tmp_path, sweep_panel, "none")
    place = arguments.index("--address")
    driver = start([*arguments[:place], *arguments[place + 2 :]], in_a_group=True)
    wait_for_epochs(driver, tmp_path, 1)
    began = time.monotonic()
    os.killpg(driver.pid, signal.SIGTERM)
    output, _ = driver.communicate(timeout=120)
    assert driver.returncode == 130, output
    assert "interrupted by SIGTERM; nothing is lost" in output
    assert time.monotonic() - began < 50, "it waited for a Ray that was gone"
    study, _ = open_study(tmp_path, "gat_ablation")
    assert not [trial for trial in study.trials if trial.state.name == "RUNNING"]


def test_a_driver_that_is_asked_to_stop_stops_cleanly(ray_head: str, sweep_panel: Path, tmp_path: Path) -> None:
    driver = start(command(tmp_path, sweep_panel, ray_head))
    wait_for_epochs(driver, tmp_path, 1)
    asked = CliRunner().invoke(trial.stop.app, ["gat_ablation", "--runs", str(tmp_path)])
    assert asked.exit_code == 0, asked.output
    output, _ = driver.communicate(timeout=120)
    assert driver.returncode == 0, output
    assert re.search(r"stopped    asked to stop by \S+; nothing is lost. To go on:", output)
    study, _ = open_study(tmp_path, "gat_ablation")
    states = [trial.state.name for trial in study.trials]
    assert "RUNNING" not in states
    assert "WAITING" in states


def test_a_signal_between_two_steps_leaves_a_word_and_goes_on(tmp_path: Path) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        ended, taken = Farewell(tmp_path / "ended"), tmp_path / "taken"
        ended.withdraw()
        Farewell(taken)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM, signal.SIGTERM]
    assert (taken / TAKEN_AWAY).exists()
    assert not (tmp_path / "ended").exists()


@pytest.mark.long
def test_a_study_survives_kills_at_random_moments(ray_head: str, sweep_panel: Path, tmp_path: Path) -> None:
    """Six SIGKILLs between one and four seconds after the first new epoch; then it runs to its end."""
    rng, trials = random.Random(11), 24  # so many that ASHA does not end the study before the last kill
    arguments = command(tmp_path, sweep_panel, ray_head, trials)
    epochs = 0
    for _ in range(6):
        driver = start(arguments)
        wait_for_epochs(driver, tmp_path, epochs + 1)
        time.sleep(rng.uniform(1, 4))
        driver.kill()
        driver.communicate()
        epochs = sum(len(record.curve) for record in open_study(tmp_path, "gat_ablation")[1])
    last = start(arguments)
    output, _ = last.communicate(timeout=600)
    assert last.returncode == 0, output
    check_truth(tmp_path, "gat_ablation", finished=trials)
