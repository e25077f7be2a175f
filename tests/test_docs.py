"""The documentation as a site: it builds, every command is in it, and the tutorial can be followed word by word."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from docs.site.commands import COMMANDS, app_of
from docs.site.hooks import reference
from search_spaces import find_space

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), flags=re.S)


def test_the_site_builds_without_a_warning_and_without_the_network(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = sorted(path.name for path in (tmp_path / "site").glob("*.html"))
    named = {path.with_suffix(".html").name for path in DOCS.glob("*.md")} | {"cli.html", "404.html"}
    assert set(pages) == named
    for page in pages:
        text = (tmp_path / "site" / page).read_text()
        fetched = re.findall(r'<(?:script|img)[^>]+src="(https?:[^"]+)"|<link[^>]+href="(https?:[^"]+)"', text)
        assert fetched == [], page


def test_every_command_and_option_is_in_the_reference() -> None:
    text = reference()
    for module in COMMANDS:
        assert f"\n## {module}\n" in text
        command = typer.main.get_command(app_of(module))
        for each in getattr(command, "commands", {"": command}).values():
            for name in (name for parameter in each.params for name in parameter.opts if name.startswith("--")):
                assert f"`{name}`" in text, (module, name)


def test_a_module_that_is_a_command_is_in_the_reference() -> None:
    """Those with a typer application of their own, run as `python -m`."""
    own = {
        f"{path.parent.name}.{path.stem}"
        for package in ("trial", "reports")
        for path in (ROOT / package).glob("*.py")
        if re.search(r"^app(: typer\.Typer)? = typer\.Typer\(", path.read_text(), flags=re.M)
    }
    assert own == {module for module in COMMANDS if not module.startswith("data.")}


def test_the_space_of_the_page_is_one(tmp_path: Path) -> None:
    (text,) = [block for block in blocks("extending.md", "python") if "SPACE = " in block]
    path = tmp_path / "my_space.py"
    path.write_text(text)
    space = find_space(str(path))
    assert space.name == "two_heads"
    assert space.retuned == ("hot",)


@pytest.mark.long
def test_the_tutorial_word_by_word(tmp_path: Path) -> None:
    """In an empty folder, by a shell, as a reader would; then what it says is there."""
    script = "\n".join(["set -e", *blocks("tutorial.md", "bash")])
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    shell = shutil.which("bash")
    assert shell is not None
    done = subprocess.run(
        [shell, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "exit status 3" in done.stdout
    published = sorted(path.name for path in (tmp_path / "runs" / "published").glob("2*"))
    assert published == ["2021-05-13", "2021-05-14"]
    for made in ("report.html", "bundle/MANIFEST.json", "bundle-through-2021-01-29/MANIFEST.json", "ensemble.json"):
        assert (tmp_path / "runs" / "gat_ablation" / made).is_file(), made
