"""What a single training refuses before it starts, in one message, and what --check says."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.loader import epoch_layout
from data.store import MarketStore
from search_spaces.config import validated
from tests.trial.study_checks import open_study
from tests.trial.training import Trained, run, run_apart
from trial.build import fold_of


def test_check_says_what_would_be_trained_and_writes_nothing(config_file: Path, tmp_path: Path) -> None:
    done = run("trial.train", config_file, "--check", "--runs", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert "is valid" in done.stdout
    assert "gatv2" in done.stdout
    assert "no panel named" in done.stdout
    assert not (tmp_path / "runs").exists()


def test_check_of_a_panel_says_its_folds_and_steps_as_the_training_will_have_them(
    config_file: Path, sweep_panel: Path, tmp_path: Path, trained: Trained
) -> None:
    done = run("trial.train", config_file, "--check", "--data", sweep_panel, "--runs", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    (record,) = open_study(trained.runs, "small")[1]
    config = validated(record.attributes["config"])
    market = MarketStore.open(trained.runs / "prepared" / record.attributes["store_key"])
    fold = fold_of(config, market)
    days = market.meta.dates
    assert f"scored on {len(fold.score)} days {days[fold.score[0]]} .. {days[fold.score[-1]]}" in done.stdout
    assert f"16 stocks, {len(market.meta.features)} features, {len(days)} days" in done.stdout
    layout = epoch_layout(len(fold.train) // 4, 4, config.train.days_per_step, config.train.days_per_epoch)
    assert f"2 epochs of about {layout.num_steps} steps, {2 * layout.num_steps} in all" in done.stdout
    assert config.hash in done.stdout
    assert not (tmp_path / "runs").exists()


def test_check_refuses_days_that_the_panel_lacks(tmp_path: Path, sweep_panel: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_text("data: {splits: {search_days: 400}}")
    done = run("trial.train", path, "--check", "--data", sweep_panel)
    assert (done.returncode, done.stdout) == (2, "")
    assert "more trading days would be enough" in done.stderr
    path.write_text("train: {validation_days: 200, early_stopping: {patience: 2}}")
    done = run("trial.train", path, "--check", "--data", sweep_panel)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Lower train.validation_days" in done.stderr


def test_groups_that_the_panel_does_not_know_are_refused_before_training(
    config_file: Path, sweep_panel: Path, tmp_path: Path
) -> None:
    done = run("trial.train", config_file, "--data", sweep_panel, "--runs", tmp_path / "runs", "--by", "sector,section")
    assert done.returncode == 2
    assert "groups by section need a column of it" in done.stderr
    assert not (tmp_path / "runs").exists()


WRONG: list[tuple[str, tuple[object, ...], str]] = [
    ("model: {hidden: 10, graph: {kind: gatv2, heads: 4}}", (), "heads must divide hidden=10"),
    ("modell: {hidden: 16}", (), "modell is no setting; is model meant?"),
    ("train: {epochs: 0}", (), "train.epochs"),
    ("- a\n- b", (), "a configuration must be a mapping such as"),
    ("", (), "but it is empty"),
    ("model: [", (), "must be YAML, but in line 1"),
    ("train: {epochs: 3, epochs: 5}", (), "the key 'epochs' stands there twice"),
    ("model: {graph: {kind: gatv3}}", (), "got kind 'gatv3'; is gatv2 meant?"),
    ("fold: nonsense", ("--check",), "fold is wrong: string should match pattern"),
    ("train: {epochs: 1}", ("--data", "nowhere.parquet"), "--data must name a panel"),
    ("train: {epochs: 1}", ("--resume-checkpoint", "nowhere"), "a checkpoint must be there"),
    ("train: {epochs: 1}", ("--by", "colour"), "--by must name some of sector, section, liquidity, got colour"),
    ("train: {epochs: 1}", ("--name", "../x"), "a study's name must be letters"),
    ("train: {epochs: 1}", ("--phase", "base"), "its train.phases is empty"),
    ("train: {epochs: 1}", ("--fold", "confirm-9"), "a fold must be one of"),
    ("train: {epochs: 1}", ("--fold", "nonsense", "--check"), "fold is wrong: string should match pattern"),
]


@pytest.mark.parametrize(("text", "arguments", "words"), WRONG, ids=[words[:30] for _, _, words in WRONG])
def test_bad_input_is_one_message_and_leaves_nothing(
    tmp_path: Path, sweep_panel: Path, text: str, arguments: tuple[object, ...], words: str
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    panel = () if "--data" in arguments else ("--data", sweep_panel)
    done = run("trial.train", path, *panel, "--runs", tmp_path / "runs", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stderr
    assert all(line.startswith("error: ") for line in done.stderr.splitlines())
    assert not (tmp_path / "runs").exists()


def test_a_missing_file_is_one_message(tmp_path: Path) -> None:
    done = run("trial.train", tmp_path / "nothing.yaml", "--runs", tmp_path / "runs")
    assert done.returncode == 2
    assert "must be a readable YAML file" in done.stderr


def test_a_wrong_machine_setting_is_refused(config_file: Path, tmp_path: Path) -> None:
    done = run("trial.train", config_file, "--runs", tmp_path / "runs", env={"ATFT_DEVICE": "abacus"})
    assert done.returncode == 2
    assert "ATFT_DEVICE" in done.stderr


def test_no_room_for_the_synthetic_market_is_one_message(config_file: Path, tmp_path: Path) -> None:
    done = run_apart("trial.train", config_file, "--runs", tmp_path / "runs", largest_file=10_000)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "a market must be written, but" in done.stderr
    assert not (tmp_path / "runs").exists()
