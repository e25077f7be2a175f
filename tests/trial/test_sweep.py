"""The command line: help, list, dry run, and one clear message with status 2 for every kind of bad input."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.core import TyperOption
from typer.testing import CliRunner

import trial.sweep
from search_spaces import SPACES
from trial.sweep import app

runner = CliRunner()


def refused(*arguments: str) -> str:
    """Runs a command that must be refused; returns its message."""
    result = runner.invoke(app, list(arguments))
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


def test_help_documents_every_option_with_its_default() -> None:
    text = runner.invoke(app, ["--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    command = typer.main.get_command(app)
    options = [option for option in command.params if isinstance(option, TyperOption)]
    assert len(options) > 25
    for option in options:
        assert option.opts[0] in text
        assert option.help
        assert option.is_flag or option.show_default or "(default: " in option.help, option.opts[0]


def test_list_names_every_space() -> None:
    result = runner.invoke(app, ["--list"])
    assert result.exit_code == 0
    assert all(name in result.output for name in SPACES)


def test_a_missing_name_is_asked_for() -> None:
    assert "gat_ablation" in refused()


def test_an_unknown_space_names_the_nearest() -> None:
    assert "Did you mean 'gat_ablation'?" in refused("gat_ablatoin")


@pytest.fixture
def without_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what only looks at the plan: two probe trials take a quarter of a minute."""
    monkeypatch.setattr(trial.sweep, "print_probes", lambda prepared, console: None)


def test_a_dry_run_shows_folds_and_counts_and_writes_no_study(sweep_panel: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    result = runner.invoke(app, ["gat_ablation", "--data", str(sweep_panel), "--runs", str(runs), "--dry-run"])
    assert result.exit_code == 0, result.output
    assert "160 trials: 5 arms (reference, no_gat, no_fan, no_san, no_freq_dropout) x 16 draws x 2" in result.output
    assert "130 trials: 9 arms" in result.output
    assert "confirm-2" in result.output
    assert not (runs / "sweeps.db").exists()


def test_sampler_and_scheduler_are_chosen(sweep_panel: Path, tmp_path: Path, without_probes: None) -> None:
    arguments = ["gat_ablation", "--data", str(sweep_panel), "--runs", str(tmp_path), "--epochs", "8", "--dry-run"]
    usual = runner.invoke(app, arguments).output
    assert "12 trials x 8 epochs, tpe, ASHA cuts after epochs 1, 2, 4" in usual
    chosen = runner.invoke(app, [*arguments, "--sampler", "qmc", "--scheduler", "none"]).output
    assert "12 trials x 8 epochs, qmc, no early stopping" in chosen
    assert "'nuts'" in refused(*arguments, "--sampler", "nuts")


def test_asha_with_several_trials_at_once_is_never_deterministic(sweep_panel: Path, tmp_path: Path) -> None:
    arguments = ("gat_ablation", "--data", str(sweep_panel), "--runs", str(tmp_path), "--deterministic")
    assert "ASHA's cuts depend on which result" in refused(*arguments, "--concurrent", "2")


def test_the_probes_say_what_a_space_of_ones_own_will_take(sweep_panel: Path, tmp_path: Path) -> None:
    space = tmp_path / "mine.py"
    space.write_text(
        "from dataclasses import replace\nfrom search_spaces import SPACES\n"
        "SPACE = replace(SPACES['graph'], name='mine', arms={})\n"
    )
    arguments = [str(space), "--data", str(sweep_panel), "--runs", str(tmp_path / "runs"), "--trials", "50"]
    output = runner.invoke(
        app, [*arguments, "--stage", "search", "--epochs", "3", "--concurrent", "1", "--dry-run"]
    ).output
    assert "50 trials x 3 epochs" in output
    assert re.search(r"epoch +\d+\.\d s \(probe trials: \d+\.\d, \d+\.\d s\)", output)
    assert re.search(r"memory +\d+ MiB at most per trial, 1 trial at once", output)
    assert re.search(r"time +about \d+ min for 150 epochs, if ASHA stops nothing", output)
    assert re.search(r"disk +about \d+ MiB", output)


def test_data_settings_are_read_from_yaml_and_shown(sweep_panel: Path, tmp_path: Path, without_probes: None) -> None:
    settings = tmp_path / "data.yaml"
    settings.write_text("horizons: [1, 5]\ngraph: {kind: sector}\nlabels: {shape: rank_gaussian}\n")
    command = ["gat_ablation", "--data", str(sweep_panel), "--data-config", str(settings), "--dry-run"]
    result = runner.invoke(app, [*command, "--runs", str(tmp_path / "runs")])
    assert result.exit_code == 0, result.output
    for part in ("1d, 5d returns from close prices", "as Gaussian ranks", "within sectors", "stocks on a usual day"):
        assert part in result.output


WRONG_SETTINGS = {
    "windw: 9": "windw is no setting; is window meant?",
    "graph: {kind: none}": "needs edges, but data.graph is 'none'. Set data.graph to {kind: sector}",
    "horizons: [1]\nhorizons: [5]": "'horizons' stands there twice",
    "splits: {holdout_from: 2099-01-01}": "nothing would be held out",
}


@pytest.mark.parametrize("text", WRONG_SETTINGS)
def test_wrong_data_settings_are_refused_and_nothing_stays(text: str, sweep_panel: Path, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(text)
    arguments = ["--data-config", str(tmp_path / "data.yaml"), "--runs", str(tmp_path / "runs")]
    assert WRONG_SETTINGS[text] in refused("gat_ablation", "--data", str(sweep_panel), *arguments)
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def frame(sweep_panel: Path) -> pd.DataFrame:
    return pd.read_parquet(sweep_panel)


DAMAGES = {
    "lacks close": (lambda f: f.drop(columns="close"), "labels need the column close"),
    "repeats a key": (lambda f: pd.concat([f, f.tail(1)]), "(date, code) must be unique"),
    "too few days": (lambda f: f[f["date"] < sorted(f["date"].unique())[90]], "days"),
    "too few stocks": (lambda f: f[f["code"] < "S0004"], "at least 10 stocks"),
    "infinite": (lambda f: f.assign(high=f["high"].where(f.index != 7, float("inf"))), "finite"),
    "no dates": (lambda f: f.assign(date="tomorrow"), "dates must be"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_panel_is_refused_and_nothing_stays(damage: str, frame: pd.DataFrame, tmp_path: Path) -> None:
    change, words = DAMAGES[damage]
    change(frame).to_parquet(tmp_path / "panel.parquet")
    runs = tmp_path / "runs"
    assert words in refused("gat_ablation", "--data", str(tmp_path / "panel.parquet"), "--runs", str(runs))
    assert not runs.exists()


def test_a_refused_panel_leaves_older_runs_alone(frame: pd.DataFrame, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "mine.txt").write_text("kept")
    frame.drop(columns="close").to_parquet(tmp_path / "panel.parquet")
    refused("gat_ablation", "--data", str(tmp_path / "panel.parquet"), "--runs", str(runs))
    assert [path.name for path in runs.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "nowhere.parquet"), "no file or folder nowhere.parquet"),
        (("--storage", "postgresql://u@127.0.0.1:1/db"), "must be reachable"),
        (("--storage", "mysql://h/db"), "sqlite or postgresql"),
        (("--storage", "postgresql://u:secret@h/db"), "must not carry a password"),
        (("--address", "127.0.0.1:1"), "nothing answers at 127.0.0.1:1"),
        (("--address", "nonsense"), "HOST:PORT"),
        (("--cpus-per-trial", "4096"), "must fit one machine"),
        (("--gpus-per-trial", "64"), "must fit one machine"),
        (("--time-budget", "soon"), "duration"),
        (("--drain", "5m"), "--drain must be shorter than --time-budget"),
        (("--drain", "5m", "--time-budget", "5m"), "no trial would start"),
        (("--gpu-hours", "2"), "trials must take GPUs"),
        (("--objectives", "seconds"), "early stopping goes by the first one"),
        (("--objectives", "rank_ic,sharpe"), "rank_ic, seconds, turnover, memory"),
        (("--constraint", "turnover=1"), "NAME<=NUMBER"),
        (("--memory-per-trial", "lots"), "'auto' or a positive number of MiB"),
        (("--memory-per-trial", "99999999"), "must fit one machine"),
        (("--gpus-per-trial", "0.4"), "must be 1/k"),
        (("--join",), "on PostgreSQL only"),
        (("--warm-start", "earlier"), "--warm-start must name studies of this store"),
        (("--storage", "env:NOT_SET_ANYWHERE"), "NOT_SET_ANYWHERE is not"),
        (("--patience", "0"), "--patience"),
        (("--concurrent", "0"), "--concurrent"),
        (("--seeds", "99"), "at most 20"),
        (("--storage", "sqlite:////proc/x.db"), "must be writable"),
        (("--storage", ""), "database URL"),
        (("--runs", "/proc/x"), "must be writable"),
        (("--name", "../evil"), "--name must be"),
        (("--name", "mine.confirm"), "--name must be"),
        (("--time-budget", ""), "duration"),
        (("--trials", "0"), "--trials"),
        (("--stage", "sideways"), "--stage"),
        (("--no-such-option",), "--no-such-option"),
    ],
)
def test_bad_options_are_refused_before_anything_starts(
    arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    output = refused("gat_ablation", *arguments)
    assert words in output
    assert "secret" not in output
    assert not list(tmp_path.iterdir())


def test_a_damaged_parquet_file_is_refused(tmp_path: Path, sweep_panel: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(sweep_panel.read_bytes()[:5000])
    assert "readable Parquet" in refused("gat_ablation", "--data", str(broken), "--runs", str(tmp_path / "runs"))


def test_a_strangers_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE studies (a)")
    before = path.read_bytes()
    runs = tmp_path / "runs"
    assert "holds other tables: studies" in refused(
        "gat_ablation", "--storage", f"sqlite:///{path}", "--runs", str(runs)
    )
    assert path.read_bytes() == before
    assert not runs.exists()


def test_a_wrong_machine_setting_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATFT_THREADS_PER_TRIAL", "abc")
    assert "ATFT_THREADS_PER_TRIAL" in refused("gat_ablation", "--runs", str(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_nested_new_folders_are_removed_again(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame[frame["date"] < sorted(frame["date"].unique())[120]].to_parquet(tmp_path / "short.parquet")
    message = refused(
        "gat_ablation", "--data", str(tmp_path / "short.parquet"), "--runs", str(tmp_path / "a" / "b" / "c")
    )
    assert "more trading days" in message
    assert not (tmp_path / "a").exists()
