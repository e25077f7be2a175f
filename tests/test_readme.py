"""What the README and the docs name exists: commands, options, make targets, files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from benchmarks.loader import app as loader_benchmark
from data.commands import inspect_app, prepare_app, synthetic_app
from reports.ablation import app as ablation
from trial.sweep import app as sweep

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS: dict[str, typer.Typer] = {
    "trial.sweep": sweep,
    "reports.ablation": ablation,
    "data.inspect": inspect_app,
    "data.prepare": prepare_app,
    "data.synthetic": synthetic_app,
}
BENCHMARKS: dict[str, typer.Typer] = {"benchmarks.loader": loader_benchmark}


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
        text = CliRunner().invoke(known[module], ["--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
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
