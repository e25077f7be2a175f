"""Settings: one reader of the environment, clamped to the machine, refused in words."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from search_spaces.errors import SpaceError
from trial.machine import Machine
from trial.settings import Settings, read_settings

ROOT = Path(__file__).resolve().parents[2]
READERS = (ROOT / "trial/settings.py", ROOT / "storage/address.py")  # the latter: a variable that an option names
READING = ("environ", "environb", "getenv")
PACKAGES = ("model", "data", "storage", "search_spaces", "reports", "trial")


def readers(tree: ast.AST) -> list[int]:
    """Lines that read the environment: os.environ in any use but a write, os.getenv."""
    writes = {
        id(node.func.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "update"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            writes |= {id(target.value) for target in node.targets if isinstance(target, ast.Subscript)}
    found = []
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in ("environ", "environb", "getenv")
            and id(node) not in writes
        ):
            found.append(node.lineno)
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            found += [node.lineno for name in node.names if name.name in ("environ", "getenv")]
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_nobody_else_reads_the_environment(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        if path in READERS:
            continue
        assert readers(ast.parse(path.read_text())) == [], path


@pytest.mark.parametrize(
    "code",
    [
        "import os\nx = os.environ['A']",
        "import os\nos.getenv('A')",
        "from os import environ",
        "import os\nf(os.environ)",
    ],
)
def test_a_reader_would_be_found(code: str) -> None:
    assert readers(ast.parse(code))


def test_threads_and_workers_are_clamped_to_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    settings = Settings(threads_per_trial=64, loader_workers=64)
    assert (settings.threads_per_trial, settings.loader_workers) == (4, 3)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert Settings(loader_workers=8).loader_workers == 0


def test_a_misspelled_name_in_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("ATFT_TENSORBORD=1\nSOMETHING_ELSE=1\n")
    with pytest.raises(SpaceError, match="ATFT_TENSORBORD is no machine setting; is ATFT_TENSORBOARD meant"):
        read_settings()


def test_the_environment_and_a_file_set_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("ATFT_LOG_LEVEL=DEBUG\nATFT_KEEP_CHECKPOINTS=3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATFT_KEEP_CHECKPOINTS", "5")
    settings = read_settings()
    assert (settings.log_level, settings.keep_checkpoints) == ("DEBUG", 5), "the environment comes first"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEVICE", "gpu"),
        ("LOG_LEVEL", "LOUD"),
        ("CHECKPOINT_SECONDS", "0"),
        ("NOTIFY_FORMAT", "pigeon"),
        ("MEMORY_MIB", "x"),
        ("NOTIFY_URL", "not a url"),
        ("NOTIFY_URL", "ftp://127.0.0.1/x"),
        ("THREADS", "4"),
    ],
)
def test_a_wrong_one_is_refused_by_its_name(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"ATFT_{name}", value)
    with pytest.raises(SpaceError, match=f"ATFT_{name}"):
        read_settings()


def test_a_misspelled_one_is_asked_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATFT_NOTIFY_URI", "http://127.0.0.1/x")
    with pytest.raises(SpaceError, match="ATFT_NOTIFY_URI is no machine setting; is ATFT_NOTIFY_URL meant"):
        read_settings()


def test_a_file_that_is_no_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_bytes(b"ATFT_LOG_LEVEL=\xff\xfe")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpaceError, match="UTF-8"):
        read_settings()


def test_a_worker_is_told_all_that_concerns_it() -> None:
    settings = Settings(threads_per_trial=1, log_level="DEBUG", tensorboard=True, profile_steps=3, memory_mib=500)
    machine = Machine.of(settings, "cpu")
    for name in type(machine).model_fields.keys() & type(settings).model_fields.keys() - {"device"}:
        assert getattr(machine, name) == getattr(settings, name), name
