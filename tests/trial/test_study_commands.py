"""Commands about a study that anybody may call: trials, status, stop, delete, dashboard."""

from __future__ import annotations

import csv
import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import optuna
import pytest
import sqlalchemy as sa
import typer
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from typer.testing import CliRunner, Result

import storage.drain
import trial.dashboard
import trial.delete
import trial.status
import trial.stop
import trial.trials
from storage.attempt import EpochReport
from storage.database import open_storage
from storage.drain import Drain
from storage.lease import Lease
from storage.record import read_records
from storage.study import StudyStore
from storage.tables import leases
from tests.reports.conftest import add_trial, make_study

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (trial.trials, trial.status, trial.stop, trial.delete, trial.dashboard)


def run(app: typer.Typer, *arguments: object) -> Result:
    done = CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "140"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture
def opened(tmp_path: Path) -> RDBStorage:
    return open_storage(f"sqlite:///{tmp_path}/sweeps.db")


@pytest.fixture
def search(opened: RDBStorage) -> StudyStore:
    """Two COMPLETE trials, a crash, one that runs after an epoch; and a confirm study of one trial."""
    study = make_study(opened, "demo")
    add_trial(study, [0.01, 0.02], TrialState.COMPLETE, "complete")
    add_trial(study, [0.01, 0.05], TrialState.COMPLETE, "complete")
    add_trial(study, [], TrialState.FAIL, "crash", "RuntimeError: boom\ntrace")
    running = study.ask()
    study.set_attributes(running._trial_id, {"config": {"train": {"epochs": 6}}, "attempts": 2})
    epoch = {"epoch": 1, "is_last": False, "value": 0.03, "best_so_far": 0.03, "seconds": 1.0}
    study.record_epoch(EpochReport(running._trial_id, running.number, epoch))
    add_trial(make_study(opened, "demo.confirm"), [0.0, 0.01], TrialState.COMPLETE, "complete", arm="reference")
    return study


@pytest.mark.parametrize("module", COMMANDS, ids=lambda module: module.__name__)
def test_a_study_or_a_store_that_is_not_there_is_refused(module: object, search: StudyStore, tmp_path: Path) -> None:
    unknown = run(module.app, "nobody", "--runs", tmp_path)  # type: ignore[attr-defined]
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert "a study must be one of: demo, demo.confirm; got 'nobody'" in unknown.stderr
    nowhere = run(module.app, "demo", "--runs", tmp_path / "nowhere")  # type: ignore[attr-defined]
    assert nowhere.exit_code == 2
    assert "the store must exist" in nowhere.stderr
    assert not (tmp_path / "nowhere").exists()


class TestTrials:
    def test_lists_every_trial(self, search: StudyStore, tmp_path: Path) -> None:
        done = run(trial.trials.app, "demo", "--runs", tmp_path)
        assert done.exit_code == 0
        assert re.search(r"1\s+COMPLETE\s+\+0\.0500", done.stdout)
        assert re.search(r"2\s+FAIL\s+crash", done.stdout)
        assert "4 trials" in done.stdout

    def test_sorts_the_best_first_and_those_without_a_value_last(self, search: StudyStore, tmp_path: Path) -> None:
        done = run(trial.trials.app, "demo", "--sort", "value", "--csv", "-", "--runs", tmp_path)
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        assert [row["number"] for row in rows] == ["1", "0", "2", "3"]
        assert rows[0]["value"] == "0.05"
        assert "params_learning_rate" in rows[0]

    def test_writes_a_file_whole(self, search: StudyStore, tmp_path: Path) -> None:
        path = tmp_path / "trials.csv"
        assert run(trial.trials.app, "demo", "--csv", path, "--runs", tmp_path).exit_code == 0
        assert len(list(csv.DictReader(path.open()))) == 4
        assert list(tmp_path.glob(".*.tmp")) == []
        refused = run(trial.trials.app, "demo", "--csv", path / "x.csv", "--runs", tmp_path)
        assert (refused.exit_code, refused.stdout) == (2, "")

    def test_refuses_an_unknown_column(self, search: StudyStore, tmp_path: Path) -> None:
        refused = run(trial.trials.app, "demo", "--sort", "colour", "--runs", tmp_path)
        assert refused.exit_code == 2
        assert "--sort must be one of number, state, value" in refused.stderr


class TestStatus:
    def test_says_who_runs_it_and_how_far_it_is(self, search: StudyStore, tmp_path: Path) -> None:
        lease = Lease(search.storage.engine, "demo")
        done = run(trial.status.app, "demo.confirm", "--runs", tmp_path)  # the same study
        lease.release()
        assert done.exit_code == 0
        for words in (
            f"demo: run by process {os.getpid()} on {socket.gethostname()} for 0 min",
            "demo: 4 trials: 2 COMPLETE, 1 FAIL, 1 RUNNING",
            "best trial 1, RankIC +0.0500",
            "trial 2 FAIL (crash): RuntimeError: boom",
            "demo.confirm: 1 trial: 1 COMPLETE",
        ):
            assert words in done.stdout
        assert re.search(r"3\s+1/6\s+\+0\.0300\s+2", done.stdout), "what runs"
        assert "trace" not in done.stdout

    def test_tells_a_dead_driver_from_none(self, search: StudyStore, tmp_path: Path) -> None:
        assert "demo: nobody runs it" in run(trial.status.app, "demo", "--runs", tmp_path).stdout
        lease = Lease(search.storage.engine, "demo")
        with search.storage.engine.begin() as connection:
            connection.execute(sa.update(leases).values(started=lease._renewed + 1))
        assert "died; the same sweep command goes on" in run(trial.status.app, "demo", "--runs", tmp_path).stdout

    def test_without_a_name_every_sweep_has_a_line(self, search: StudyStore, tmp_path: Path) -> None:
        optuna.create_study(study_name="another", storage=search.storage)
        heading, *lines = run(trial.status.app, "--runs", tmp_path).stdout.splitlines()
        assert heading.split("  ")[0] == "sweep"
        assert [line.split()[0] for line in lines] == ["another", "demo"]
        assert "search, confirm" in lines[1]
        assert "no trial yet" in lines[0]
        assert "nobody runs it" in run(trial.status.app, "--watch", "--runs", tmp_path).stdout

    def test_watching_ends_when_nobody_runs_it(self, search: StudyStore, tmp_path: Path) -> None:
        assert "nobody runs it" in run(trial.status.app, "demo", "--watch", "--runs", tmp_path).stdout


class TestStop:
    def test_reaches_the_driver(self, search: StudyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(storage.drain, "LOOK_SECONDS", 0.0)
        lease, drain = Lease(search.storage.engine, "demo"), Drain(search.storage.engine, "demo")
        assert drain.asked() is None
        done = run(trial.stop.app, "demo", "--runs", tmp_path)
        lease.release()
        assert done.exit_code == 0
        assert f"asked process {os.getpid()}" in done.stdout
        assert re.fullmatch(r"asked to stop by \S+@\S+", str(drain.asked()))
        assert Drain(search.storage.engine, "demo").asked() is None, "an old wish stops no new driver"

    def test_needs_somebody_to_stop(self, search: StudyStore, tmp_path: Path) -> None:
        refused = run(trial.stop.app, "demo", "--runs", tmp_path)
        assert refused.exit_code == 2
        assert "a driver must run 'demo' to be stopped, but none does" in refused.stderr


class TestDelete:
    def test_removes_both_stages_their_rows_and_their_files(self, search: StudyStore, tmp_path: Path) -> None:
        add_trial(make_study(search.storage, "other"), [0.0, 0.01], TrialState.COMPLETE, "complete")
        (tmp_path / "demo" / "0").mkdir(parents=True)
        done = run(trial.delete.app, "demo", "--yes", "--runs", tmp_path)
        assert done.exit_code == 0, done.stderr
        assert not (tmp_path / "demo").exists()
        assert [study.study_name for study in search.storage.get_all_studies()] == ["other"]
        with search.storage.engine.connect() as connection:
            for table in ("sweep_epochs", "sweep_events", "sweep_leases"):
                assert set(connection.execute(sa.text(f"select study from {table}")).scalars()) <= {"other"}
        assert len(read_records(search.storage, "other")[0].curve) == 2

    def test_can_leave_the_files(self, search: StudyStore, tmp_path: Path) -> None:
        (tmp_path / "demo").mkdir()
        assert run(trial.delete.app, "demo", "--yes", "--keep-files", "--runs", tmp_path).exit_code == 0
        assert (tmp_path / "demo").exists()

    def test_asks_first(self, search: StudyStore, tmp_path: Path) -> None:
        refused = run(trial.delete.app, "demo", "--runs", tmp_path)
        assert refused.exit_code == 2
        assert "standard input is no terminal. Give --yes" in refused.stderr
        assert len(read_records(search.storage, "demo")) == 4

    def test_respects_a_living_driver(self, search: StudyStore, tmp_path: Path) -> None:
        lease = Lease(search.storage.engine, "demo")
        refused = run(trial.delete.app, "demo", "--yes", "--runs", tmp_path)
        lease.release()
        assert refused.exit_code == 2
        assert "one driver at a time may run a study" in refused.stderr
        assert len(read_records(search.storage, "demo")) == 4


class TestDashboard:
    def test_serves_the_study_on_loopback_alone(self, search: StudyStore, tmp_path: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "trial.dashboard", "demo", "--runs", str(tmp_path), "--port", str(port)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        server = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=-1, stderr=-1)
        try:
            assert "demo" in _page(f"http://127.0.0.1:{port}/api/studies", server)
            refused = run(trial.dashboard.app, "demo", "--runs", tmp_path, "--port", port)
            assert refused.exit_code == 2
            assert f"--port must be free, but {port} is not" in refused.stderr
        finally:
            server.send_signal(signal.SIGINT)
            output, errors = server.communicate(timeout=120)  # ends in 2 s, on a busy machine in 10
        assert server.returncode == 0, errors
        assert f"http://127.0.0.1:{port}/dashboard/studies/" in output
        assert "Traceback" not in errors


def _page(url: str, server: subprocess.Popen[str]) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            time.sleep(0.2)
    server.kill()
    pytest.fail(f"no answer from {url}: {server.communicate()}")
