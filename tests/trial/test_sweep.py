"""The command line: help, list, dry run, and one clear message with status 2 for every kind of bad input."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

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
    options = "data runs storage name stage trials epochs seeds time-budget seed sampler scheduler "
    options += "cpus-per-trial gpus-per-trial address"
    for option in (*(f"--{name}" for name in options.split()), "--dry-run", "--list"):
        assert option in text
    assert text.count("default:") >= 12


def test_list_names_every_space() -> None:
    result = runner.invoke(app, ["--list"])
    assert result.exit_code == 0
    assert all(name in result.output for name in SPACES)


def test_a_missing_name_is_asked_for() -> None:
    assert "gat_ablation" in refused()


def test_an_unknown_space_names_the_nearest() -> None:
    assert "Did you mean 'gat_ablation'?" in refused("gat_ablatoin")


def test_a_dry_run_shows_folds_and_counts_and_writes_no_study(sweep_panel: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    result = runner.invoke(app, ["gat_ablation", "--data", str(sweep_panel), "--runs", str(runs), "--dry-run"])
    assert result.exit_code == 0, result.output
    assert "24 trials: 6 arms" in result.output
    assert "confirm-2" in result.output
    assert not (runs / "sweeps.db").exists()


def test_sampler_and_scheduler_are_chosen(sweep_panel: Path, tmp_path: Path) -> None:
    arguments = ["gat_ablation", "--data", str(sweep_panel), "--runs", str(tmp_path), "--epochs", "8", "--dry-run"]
    usual = runner.invoke(app, arguments).output
    assert "12 trials x 8 epochs, tpe, ASHA cuts after epochs 1, 2, 4" in usual
    chosen = runner.invoke(app, [*arguments, "--sampler", "qmc", "--scheduler", "none"]).output
    assert "12 trials x 8 epochs, qmc, no early stopping" in chosen
    assert "'nuts'" in refused(*arguments, "--sampler", "nuts")


def test_data_settings_are_read_from_yaml_and_shown(sweep_panel: Path, tmp_path: Path) -> None:
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
        (("--cpus-per-trial", "4096"), "must fit the machine"),
        (("--gpus-per-trial", "64"), "must fit the machine"),
        (("--time-budget", "soon"), "duration"),
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
    frame[frame["date"] < sorted(frame["date"].unique())[250]].to_parquet(tmp_path / "short.parquet")
    message = refused(
        "gat_ablation", "--data", str(tmp_path / "short.parquet"), "--runs", str(tmp_path / "a" / "b" / "c")
    )
    assert "more trading days" in message
    assert not (tmp_path / "a").exists()
