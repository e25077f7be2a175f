"""A text file is whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.files import write_whole


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
