"""`trial.train`: one configuration, from the command line, on a small market; stopped, resumed, refused, reproduced."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa
import yaml
from typer.testing import CliRunner

import trial.keeper
import trial.references
import trial.reproduce
import trial.session
import trial.single
import trial.train
from storage.database import open_existing
from storage.provenance import read_provenance
from storage.record import read_records
from tests.trial.study_checks import check_truth, open_study
from tests.trial.webhook import Server
from trial.checkpoint import read_checkpoint
from trial.keeper import CHECKPOINT

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "data": {"graph": {"kind": "correlation", "k": 4}},
    "model": {"hidden": 8, "graph": {"kind": "gatv2", "heads": 2}},
    "train": {"epochs": 2, "days_per_epoch": 64},
}
BASE = ["selection", "projection", "temporal", "head"]
PHASED = {
    "train": {
        "epochs": 3,
        "days_per_epoch": 32,
        "phases": [
            {"name": "base", "epochs": 2, "learning_rate": 1e-3, "learns": BASE},
            {"name": "rest", "epochs": 1, "learning_rate": 1e-4},
        ],
    }
}
APPS = {
    "trial.train": trial.train.app,
    "trial.reproduce": trial.reproduce.app,
    "trial.references": trial.references.app,
}


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def run(module: str, *arguments: object, env: dict[str, str] | None = None) -> Done:
    """The command in this process, which spares a start of seven seconds; an error of our own is raised."""
    done = CliRunner().invoke(APPS[module], [*map(str, arguments)], env=env)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Done(done.exit_code, done.stdout, done.stderr)


def run_apart(module: str, *arguments: object) -> Done:
    """The command as a user starts it, in a process of its own."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    return path


def phased_file(folder: Path) -> Path:
    path = folder / "phased.yaml"
    path.write_text(yaml.safe_dump(SMALL | PHASED))
    return path


class Trained:
    """One finished training that several tests look at."""

    def __init__(self, folder: Path, panel: Path) -> None:
        self.runs, self.panel, self.config = folder / "runs", panel, folder / "small.yaml"
        self.config.write_text(yaml.safe_dump(SMALL))
        groups = ("--by", "sector,liquidity")
        self.done = run_apart("trial.train", self.config, "--data", panel, "--runs", self.runs, *groups)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, sweep_panel: Path) -> Trained:
    return Trained(tmp_path_factory.mktemp("train"), sweep_panel)


def test_it_trains_records_and_says_what_it_found(trained: Trained) -> None:
    assert trained.done.returncode == 0, trained.done.stderr
    for words in (
        "    epoch     loss   RankIC       1d",
        "\n        2 ",
        "COMPLETE",
        "RankIC",
        "neutral",
        "Sharpe, net",
        "RankIC by sector",
        "RankIC by liquidity",
    ):
        assert words in trained.done.stdout
    check_truth(trained.runs, "small", finished=1)
    (record,) = open_study(trained.runs, "small")[1]
    folder = trained.runs / "small" / "0" / "0"
    assert {path.name for path in folder.iterdir()} == {
        CHECKPOINT,
        "predictions.parquet",
        "scaler.json",
        "log.jsonl",
    }
    card = record.curve[-1]["scorecard"]
    assert {"rank_ic/5", "rank_icir/5", "ic/5", "neutral_rank_ic/5", "top_minus_bottom/5", "hit_rate/5"} <= card.keys()
    assert card["rank_ic"] == pytest.approx(record.value)
    assert all(value == value for value in card.values()), "never NaN"


def test_its_provenance_is_in_the_store(trained: Trained) -> None:
    storage = open_existing(f"sqlite:///{trained.runs}/sweeps.db")
    (record,) = read_records(storage, "small")
    known = read_provenance(storage.engine, record.attributes["provenance"])
    assert {"code", "git", "diff", "packages", "hardware"} <= known.keys()
    study = open_study(trained.runs, "small")[0]
    assert {"panel", "store", "market"} <= study.user_attrs.keys()
    assert record.attributes["machine"]["threads"] == 1


def test_it_is_reproduced_bit_for_bit_from_the_store(trained: Trained) -> None:
    done = run_apart("trial.reproduce", "small", 0, "--runs", trained.runs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "numbers of 2 epochs, bit for bit" in done.stdout


def test_without_the_prepared_market_it_is_prepared_again(trained: Trained, tmp_path: Path) -> None:
    (trained.runs / "prepared").rename(tmp_path / "prepared")
    try:
        done = run("trial.reproduce", "small", 0, "--runs", trained.runs)
        assert done.returncode == 0, done.stdout + done.stderr
        wrong = run("trial.reproduce", "small", 0, "--runs", trained.runs / "nowhere")
        assert wrong.returncode == 2
    finally:
        for left in (trained.runs / "prepared").glob("*"):
            left.rename(tmp_path / f"again-{left.name}")
        (trained.runs / "prepared").rmdir()
        (tmp_path / "prepared").rename(trained.runs / "prepared")


def test_a_number_that_differs_is_found(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    from trial.reproduce import compare

    then = open_study(trained.runs, "small")[1][0].curve[0]
    now = yaml.safe_load(yaml.safe_dump(then))
    assert [each for each in compare(then, now) if each.then != each.now] == []
    now["losses"]["total"] += 1e-12
    (found,) = (each for each in compare(then, now) if each.then != each.now)
    assert found.name == "losses/total"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("small", 7), "a trial of 'small' must be one of 0 to 0, got 7"),
        (("nobody", 0), "a study must be one of: small; got 'nobody'"),
    ],
)
def test_what_cannot_be_reproduced_is_refused(trained: Trained, arguments: tuple[str, int], words: str) -> None:
    done = run("trial.reproduce", *arguments, "--runs", trained.runs)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_references_stand_beside_it(trained: Trained) -> None:
    arguments = ("--data", trained.panel, "--runs", trained.runs, "--beside", "small")
    done = run("trial.references", trained.config, *arguments)
    assert done.returncode == 0, done.stderr
    for words in ("ridge (", "lightgbm (", "small trial 0, seed 0", "neutral", "less ridge", "standard error"):
        assert words in done.stdout
    refused = run(
        "trial.references", trained.config, "--data", trained.panel, "--runs", trained.runs, "--only", "oracle"
    )
    assert refused.returncode == 2
    assert "must be one of ridge, lightgbm" in refused.stderr


def test_the_log_is_json_bound_to_the_trial(trained: Trained) -> None:
    lines = [yaml.safe_load(line) for line in (trained.runs / "small/0/0/log.jsonl").read_text().splitlines()]
    starts = [line for line in lines if line["event"].startswith("trial starts")]
    assert len(starts) == 1, "one line per trial at INFO"
    assert (starts[0]["study"], starts[0]["trial"], starts[0]["seed"]) == ("small", 0, 0)
    assert starts[0]["level"] == "info"
    assert not [line for line in lines if line["level"] == "debug"]


def test_max_steps_stops_and_the_same_command_goes_on_bit_for_bit(
    config_file: Path, sweep_panel: Path, tmp_path: Path, trained: Trained
) -> None:
    arguments = ("trial.train", config_file, "--data", sweep_panel, "--runs", tmp_path / "runs")
    stopped = run(*arguments, "--max-steps", 3)
    assert stopped.returncode == 0, stopped.stderr
    assert "after 3 steps, as --max-steps asks; nothing is lost" in stopped.stdout
    checkpoint = read_checkpoint(tmp_path / "runs/small/0/0" / CHECKPOINT)[1]
    assert checkpoint["step"] == 3
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    check_truth(tmp_path / "runs", "small", finished=1)
    (resumed,), (whole,) = (open_study(runs, "small")[1] for runs in (tmp_path / "runs", trained.runs))
    assert resumed.value == whole.value
    assert resumed.attributes["attempts"] == 2


def test_the_command_that_goes_on_has_no_limit() -> None:
    given = ["a.yaml", "--max-steps", "3", "--seed", "1"]
    assert trial.train.going_on(given) == ["a.yaml", "--seed", "1"]
    assert trial.train.going_on(["--max-steps=3", "a.yaml"]) == ["a.yaml"]
    assert trial.train.going_on(["a.yaml", "--phase", "base"], "rest") == ["a.yaml", "--phase", "rest"]


def test_groups_that_the_panel_does_not_know_are_refused_before_training(
    config_file: Path, sweep_panel: Path, tmp_path: Path
) -> None:
    done = run("trial.train", config_file, "--data", sweep_panel, "--runs", tmp_path / "runs", "--by", "sector,section")
    assert done.returncode == 2
    assert "groups by section need a column of it" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_damaged_checkpoint_of_its_own_is_refused_and_the_trial_waits(
    config_file: Path, sweep_panel: Path, tmp_path: Path
) -> None:
    arguments = ("trial.train", config_file, "--data", sweep_panel, "--runs", tmp_path / "runs")
    assert run(*arguments, "--max-steps", 2).returncode == 0
    path = tmp_path / "runs/small/0/0" / CHECKPOINT
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused = run(*arguments)
    assert refused.returncode == 2
    assert [record.state for record in open_study(tmp_path / "runs", "small")[1]] == ["WAITING"]
    path.write_bytes(whole)
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "goes on    after epoch 0, step 2" in done.stdout
    assert [record.state for record in open_study(tmp_path / "runs", "small")[1]] == ["COMPLETE"]


def test_a_full_disk_at_the_end_costs_nothing_but_another_start(
    config_file: Path, sweep_panel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    arguments = ("trial.train", config_file, "--data", sweep_panel, "--runs", tmp_path / "runs")
    with monkeypatch.context() as patch:
        patch.setattr(trial.session, "write_predictions", full)
        stopped = run(*arguments)
    assert stopped.returncode == 1
    assert "not all is kept: because its predictions could not be written" in stopped.stdout.replace("\n", " ")
    assert [record.state for record in open_study(tmp_path / "runs", "small")[1]] == ["WAITING"]
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "\n        1 " not in done.stdout, "nothing is trained again"
    check_truth(tmp_path / "runs", "small", finished=1)


def test_a_full_disk_when_stopped_is_not_called_saved(
    config_file: Path, sweep_panel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trial.keeper, "save_state", full)
    stopped = run("trial.train", config_file, "--data", sweep_panel, "--runs", tmp_path / "runs", "--max-steps", 2)
    assert stopped.returncode == 1
    assert "nothing is lost" not in stopped.stdout
    assert "the checkpoint after step 2 could not be written" in " ".join(stopped.stdout.split())
    with open_existing(f"sqlite:///{tmp_path}/runs/sweeps.db").engine.connect() as connection:
        kinds = connection.execute(sa.text("select kind from sweep_events")).scalars().all()
    assert kinds == ["checkpoint_failed"]


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
    assert (record.state, record.reason) == ("FAIL", "crash")


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
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert time.monotonic() - sent < 15
    assert f"interrupted by {number.name}; nothing is lost" in output
    assert "Traceback" not in errors
    _, (record,) = open_study(tmp_path / "runs", "small")
    assert record.state == "WAITING"
    content = read_checkpoint(tmp_path / "runs/small/0/0" / CHECKPOINT)[1]
    assert content["epoch"] >= len(record.curve)


def test_a_phase_is_trained_alone_and_the_next_goes_on(sweep_panel: Path, tmp_path: Path) -> None:
    arguments = ("trial.train", phased_file(tmp_path), "--data", sweep_panel, "--runs", tmp_path / "runs")
    too_early = run(*arguments, "--phase", "rest")
    assert too_early.returncode == 2
    assert "this training has 0 behind it" in too_early.stderr
    assert [record.state for record in open_study(tmp_path / "runs", "phased")[1]] == ["WAITING"]
    first = run(*arguments, "--phase", "base")
    assert first.returncode == 0, first.stderr
    assert "after phase base, as --phase asks" in first.stdout
    assert re.search(r"^ +2 .* base$", first.stdout, re.MULTILINE)
    assert not re.search(r"^ +3 .* rest$", first.stdout, re.MULTILINE)
    checkpoint = next((tmp_path / "runs").glob(f"phased/*/*/{CHECKPOINT}"))
    elsewhere = ("--runs", tmp_path / "other", "--phase", "rest", "--resume-checkpoint", checkpoint)
    second = run("trial.train", tmp_path / "phased.yaml", "--data", sweep_panel, *elsewhere)
    assert second.returncode == 0, second.stderr
    assert "by phase" in second.stdout
    records = open_study(tmp_path / "other", "phased")[1]
    assert [result["phase"] for result in records[-1].curve] == ["base", "base", "rest"]
    unknown = run(*arguments, "--phase", "nobody")
    assert unknown.returncode == 2
    assert "(base, rest), got 'nobody'" in unknown.stderr


def test_check_says_what_would_be_trained_and_writes_nothing(config_file: Path, tmp_path: Path) -> None:
    done = run("trial.train", config_file, "--check", "--runs", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert "is valid" in done.stdout
    assert "gatv2" in done.stdout
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


@pytest.mark.parametrize("template", ["minimal", "production", "five_phases"])
def test_the_templates_train(template: str, sweep_panel: Path, tmp_path: Path) -> None:
    path = ROOT / "configs/templates" / f"{template}.yaml"
    done = run("trial.train", path, "--data", sweep_panel, "--runs", tmp_path, "--max-steps", 2)
    assert done.returncode == 0, done.stderr
    assert "after 2 steps" in done.stdout
