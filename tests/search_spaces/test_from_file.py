"""A space from a Python file of the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from search_spaces import digest_of, find_space
from search_spaces.errors import SpaceError

SPACE = """
from search_spaces.config import TrialConfig
from search_spaces.space import SearchSpace
from search_spaces import SPACES

MINE = SearchSpace(
    name="mine",
    summary="hidden size alone",
    reference=TrialConfig(),
    sample=lambda trial, base: base.replace(**{"model.hidden": trial.suggest_categorical("hidden", (16, 32))}),
    arms={},
)
SHIPPED = SPACES["gat_ablation"]
"""


def written(folder: Path, text: str) -> str:
    path = folder / "space.py"
    path.write_text(text)
    return str(path)


def test_the_one_that_it_defines_is_found_and_the_shipped_are_not_meant(tmp_path: Path) -> None:
    assert find_space(written(tmp_path, SPACE)).name == "mine"


def test_one_called_space_comes_first(tmp_path: Path) -> None:
    text = SPACE + "\nimport dataclasses\nSPACE = dataclasses.replace(MINE, name='other')\n"
    assert find_space(written(tmp_path, text)).name == "other"


def test_a_change_of_the_file_is_seen(tmp_path: Path) -> None:
    before = digest_of(written(tmp_path, SPACE))
    assert digest_of(written(tmp_path, SPACE + "# more")) != before
    assert digest_of("gat_ablation") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "but it defines none"),
        (SPACE + "import dataclasses\nB = dataclasses.replace(MINE, name='b')\n", "defines MINE, B"),
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        ("def", "SyntaxError"),
    ],
)
def test_a_wrong_file_is_refused(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=words):
        find_space(written(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="there is no file"):
        find_space(str(tmp_path / "none.py"))
