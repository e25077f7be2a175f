"""Provenance: equal code hashes alike wherever it lies, changed code does not, and no repository is no failure."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import RDBStorage

from storage.errors import StorageError
from storage.provenance import (
    LONGEST_DIFF,
    code_hash,
    git_commit,
    git_diff,
    keep_provenance,
    provenance,
    read_provenance,
)


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


class TestGitDiff:
    def test_is_what_the_tracked_files_differ_by(self, repository: Path) -> None:
        assert git_diff(repository) == ""
        (repository / "model/a.py").write_text("changed = True\n")
        assert "+changed = True" in git_diff(repository)

    def test_is_cut_where_it_is_long(self, repository: Path) -> None:
        (repository / "model/a.py").write_text("x = 1\n" * LONGEST_DIFF)
        assert git_diff(repository).endswith(f"cut at {LONGEST_DIFF} characters")
        assert len(git_diff(repository)) < LONGEST_DIFF + 100

    def test_is_empty_outside_a_repository(self, tree: Path) -> None:
        assert git_diff(tree) == ""


def test_provenance_has_code_packages_and_hardware(tree: Path) -> None:
    known = provenance(tree, gpus=["a card"])
    assert known["code"] == code_hash(tree)
    assert re.fullmatch(r"3\.\d+\.\d+\S*", known["python"])
    assert known["packages"]["torch"] == importlib.metadata.version("torch")
    hardware = known["hardware"]
    assert hardware["cores"] >= 1
    assert hardware["memory_mib"] > 100
    assert hardware["processor"]
    assert hardware["gpus"] == ["a card"]
    assert json.loads(json.dumps(known)) == known


def test_it_is_kept_once_and_read_back(storage: RDBStorage, tree: Path) -> None:
    engine = storage.engine
    known = provenance(tree)
    key = keep_provenance(engine, known)
    assert keep_provenance(engine, known) == key
    assert keep_provenance(engine, known | {"code": "other"}) != key
    assert read_provenance(engine, key) == known
    with pytest.raises(StorageError, match="none of key 'nobody'"):
        read_provenance(engine, "nobody")
