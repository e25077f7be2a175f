"""What the README and the docs name exists: commands, options, make targets, files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import typer
from typer.testing import CliRunner

import model.config
from benchmarks.loader import app as loader_benchmark
from benchmarks.side_by_side import app as side_by_side
from benchmarks.step import app as step_benchmark
from benchmarks.sweep import app as sweep_benchmark
from data.commands import inspect_app, prepare_app, synthetic_app
from model.config import SLOTS
from reports.ablation import app as ablation
from reports.compare import app as compare
from search_spaces.config import TrialConfig
from search_spaces.improvements import Improvements
from trial.backtest import app as backtest
from trial.calibrate import app as calibrate
from trial.dashboard import app as dashboard
from trial.delete import app as delete
from trial.export import app as export
from trial.holdout import app as holdout
from trial.migrate import app as migrate
from trial.predict import app as predict
from trial.references import app as references
from trial.reproduce import app as reproduce
from trial.status import app as status
from trial.stop import app as stop
from trial.sweep import app as sweep
from trial.train import app as train
from trial.trials import app as trials
from trial.verify import app as verify

UNIONS = {slot: f"{slot.capitalize()}Config" for slot in SLOTS}
ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS: dict[str, typer.Typer] = {
    "trial.sweep": sweep,
    "trial.train": train,
    "trial.reproduce": reproduce,
    "trial.references": references,
    "trial.trials": trials,
    "trial.status": status,
    "trial.stop": stop,
    "trial.delete": delete,
    "trial.migrate": migrate,
    "trial.dashboard": dashboard,
    "trial.calibrate": calibrate,
    "trial.holdout": holdout,
    "trial.export": export,
    "trial.verify": verify,
    "trial.predict": predict,
    "trial.backtest": backtest,
    "reports.ablation": ablation,
    "reports.compare": compare,
    "data.inspect": inspect_app,
    "data.prepare": prepare_app,
    "data.synthetic": synthetic_app,
}
BENCHMARKS: dict[str, typer.Typer] = {
    "benchmarks.loader": loader_benchmark,
    "benchmarks.step": step_benchmark,
    "benchmarks.sweep": sweep_benchmark,
    "benchmarks.side_by_side": side_by_side,
}


def commands(page: Path) -> list[tuple[str, str]]:
    return re.findall(r"python -m ([a-z_.]+)([^`\n|]*)", page.read_text())


def test_the_readme_opens_with_the_two_commands_that_do_everything() -> None:
    block = (ROOT / "README.md").read_text().split("```")[1]
    assert block.split("\n")[1:3] == ["make sweep", "make test"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_exists(page: Path) -> None:
    for module, arguments in commands(page):
        known = COMMANDS | BENCHMARKS
        assert module in known, module
        own = arguments.split()[:1] if len(known[module].registered_commands) > 1 else []  # the command of a group
        text = CliRunner().invoke(known[module], [*own, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
        for option in re.findall(r"--[a-z-]+", arguments):
            assert option in text, (module, option)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    named = set(re.findall(r"`make ([a-z-]+)", page.read_text()))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_linked_file_exists(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link


def test_the_readme_names_real_commands() -> None:
    assert {module for module, _ in commands(ROOT / "README.md")} == set(COMMANDS)


def test_the_configuration_of_the_models_page_is_one() -> None:
    """With defaults for what it leaves out."""
    (shown,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "model.md").read_text(), flags=re.S)
    config = TrialConfig.from_yaml(shown)
    assert (config.model.graph.kind, config.model.head.kind, config.train.loss.kind) == ("gat", "quantile", "quantile")


def test_the_models_page_names_every_block() -> None:
    page = (ROOT / "docs" / "model.md").read_text()
    for slot in SLOTS:
        for member in get_args(get_args(getattr(model.config, UNIONS[slot]))[0]):
            assert f"`{member().kind}`" in page, (slot, member().kind)


def test_the_models_page_names_every_switch_of_the_predecessor() -> None:
    page = (ROOT / "docs" / "model.md").read_text()
    assert all(f"`{name}`" in page for name in Improvements.model_fields)
