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
from benchmarks.start import app as start_benchmark
from benchmarks.step import app as step_benchmark
from benchmarks.sweep import app as sweep_benchmark
from docs.site.commands import COMMANDS as MODULES
from docs.site.commands import app_of
from model.config import SLOTS
from search_spaces.config import TrialConfig
from search_spaces.improvements import Improvements

UNIONS = {slot: f"{slot.capitalize()}Config" for slot in SLOTS}
ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = {module: app_of(module) for module in MODULES}
GENERATED = "cli.md"  # made whenever the site is
BENCHMARKS: dict[str, typer.Typer] = {
    "benchmarks.loader": loader_benchmark,
    "benchmarks.start": start_benchmark,
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
        assert (page.parent / link).exists() or link == GENERATED, link


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
