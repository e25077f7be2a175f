"""Where a result came from: code, git state, packages, hardware. Stored once, and referred to by every trial."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from storage.errors import StorageError
from storage.tables import provenances

PACKAGES_OF_CODE = ("model", "data", "storage", "search_spaces", "reports", "trial")
LONGEST_DIFF = 200_000  # characters of the working tree's difference that are kept


def provenance(root: Path, gpus: Sequence[str] = ()) -> dict[str, Any]:
    """Plain values.

    Args:
        root: of the product's source.
        gpus: names, which this package cannot ask for.
    """
    return {
        "code": code_hash(root),
        "git": git_commit(root),
        "diff": git_diff(root),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {each.name: each.version for each in importlib.metadata.distributions()},
        "hardware": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
            "gpus": list(gpus),
        },
    }


def keep_provenance(engine: sa.Engine, content: Mapping[str, Any]) -> str:
    """Writes it where it is not known yet; returns its key."""
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    with engine.begin() as connection:
        known = connection.execute(sa.select(provenances.c.key).where(provenances.c.key == key)).first()
        if known is None:
            connection.execute(provenances.insert().values(key=key, content=dict(content)))
    return key


def read_provenance(engine: sa.Engine, key: str) -> dict[str, Any]:
    """Raises StorageError where the store has none of that key."""
    with engine.connect() as connection:
        row = connection.execute(sa.select(provenances.c.content).where(provenances.c.key == key)).first()
    if row is None:
        raise StorageError(f"a trial's provenance must be in its store, but there is none of key {key!r}.")
    return dict(row[0])


def code_hash(root: Path) -> str:
    """SHA-256 over the Python files of the product's packages, in path order."""
    digest = hashlib.sha256()
    for package in PACKAGES_OF_CODE:
        for file in sorted((root / package).rglob("*.py")):
            digest.update(str(file.relative_to(root)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def git_commit(root: Path) -> str:
    """The commit, with '+' where the tree has changes; 'unknown' outside a repository."""
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def git_diff(root: Path) -> str:
    """What the tracked files differ by from the commit; cut where it is long, empty outside a repository."""
    try:
        diff = _git(root, "diff", "HEAD")
    except (OSError, subprocess.SubprocessError):
        return ""
    return diff if len(diff) <= LONGEST_DIFF else f"{diff[:LONGEST_DIFF]}\n... cut at {LONGEST_DIFF} characters"


def _processor() -> str:
    """The model's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
