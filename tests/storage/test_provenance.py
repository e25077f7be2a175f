"""Provenance: equal code hashes alike wherever it lies, changed code does not, and no repository is no failure."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from storage.provenance import PACKAGES, code_hash, git_commit, provenance


def write_tree(root: Path) -> Path:
    for name, text in {"model/a.py": "x = 1\n", "model/graph/b.py": "y = 2\n", "trial/c.py": "z = 3\n"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "tree")


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tree: Path) -> Path:
    git(tree, "init")
    git(tree, "add", ".")
    git(tree, "commit", "-m", "first")
    return tree


class TestCodeHash:
    def test_is_the_same_wherever_the_tree_lies(self, tree: Path, tmp_path: Path) -> None:
        assert code_hash(write_tree(tmp_path / "elsewhere")) == code_hash(tree)

    @pytest.mark.parametrize("name", ["model/a.py", "model/graph/b.py", "trial/c.py"])
    def test_changes_with_every_file(self, tree: Path, name: str) -> None:
        before = code_hash(tree)
        (tree / name).write_text("changed = True\n")
        assert code_hash(tree) != before

    def test_changes_with_a_new_file(self, tree: Path) -> None:
        before = code_hash(tree)
        (tree / "data").mkdir()
        (tree / "data/new.py").write_text("")
        assert code_hash(tree) != before

    def test_changes_with_a_renamed_file(self, tree: Path) -> None:
        before = code_hash(tree)
        (tree / "model/a.py").rename(tree / "model/renamed.py")
        assert code_hash(tree) != before

    def test_leaves_out_what_is_no_code_of_the_product(self, tree: Path) -> None:
        before = code_hash(tree)
        (tree / "model/notes.txt").write_text("a thought")
        (tree / "tests").mkdir()
        (tree / "tests/test_a.py").write_text("")
        assert code_hash(tree) == before


class TestGitCommit:
    def test_is_the_commit(self, repository: Path) -> None:
        assert git_commit(repository) == git(repository, "rev-parse", "HEAD")

    def test_has_a_plus_where_the_tree_has_changes(self, repository: Path) -> None:
        (repository / "model/a.py").write_text("changed = True\n")
        assert git_commit(repository) == git(repository, "rev-parse", "HEAD") + "+"

    def test_is_unknown_outside_a_repository(self, tree: Path) -> None:
        assert git_commit(tree) == "unknown"

    def test_is_unknown_without_git(self, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        assert git_commit(repository) == "unknown"

    def test_is_unknown_where_git_hangs(self, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def hang(command: list[str], **options: Any) -> None:
            raise subprocess.TimeoutExpired(command, options["timeout"])

        monkeypatch.setattr(subprocess, "run", hang)
        assert git_commit(repository) == "unknown"


def test_provenance_is_plain_text_with_every_version(tree: Path) -> None:
    known = provenance(tree)
    assert {"code", "git", "python", "platform", *(f"version/{name}" for name in PACKAGES)} == set(known)
    assert all(isinstance(value, str) and value for value in known.values())
    assert known["code"] == code_hash(tree)
    assert re.fullmatch(r"3\.\d+\.\d+\S*", known["python"])
