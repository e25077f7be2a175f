"""A text file is whole or not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage.files import aside, write_whole


def test_it_makes_the_folder_and_replaces_what_was(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    write_whole(path, "one")
    write_whole(path, "zwei é")
    assert path.read_text(encoding="utf-8") == "zwei é"
    assert [each.name for each in path.parent.iterdir()] == ["b.txt"]


def test_a_failure_leaves_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "b.txt"
    write_whole(path, "one")

    def fail(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr("storage.files.os.replace", fail)
    with pytest.raises(OSError, match="no room"):
        write_whole(path, "two")
    assert path.read_text() == "one"
    assert [each.name for each in tmp_path.iterdir()] == ["b.txt"]


def test_what_a_killed_process_left_beside_is_removed_and_a_living_ones_is_not(tmp_path: Path) -> None:
    path = tmp_path / "panel[1]"
    own = aside(path)
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    dead = own.with_name(own.name.replace(str(os.getpid()), gone.stdout.decode().strip()))
    other = own.with_name(own.name.replace("panel[1]", "panel"))
    (dead / "deep").mkdir(parents=True)
    for each in (own, other):
        each.write_text("mine")
    assert aside(path, "new") == own.with_suffix(".new")
    assert dead.exists(), "of another kind"
    assert aside(path) == own
    assert sorted(tmp_path.iterdir()) == sorted((own, other))
