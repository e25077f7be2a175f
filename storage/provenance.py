"""Where a result came from: code, packages, machine."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path

PACKAGES = ("torch", "torch-geometric", "optuna", "ray", "numpy", "pandas", "pyarrow")


def provenance(root: Path) -> dict[str, str]:
    """Plain strings: hash of the packages' source under `root`, git commit if there is one, versions, platform."""
    versions = {f"version/{name}": importlib.metadata.version(name) for name in PACKAGES}
    return {
        "code": code_hash(root),
        "git": git_commit(root),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        **versions,
    }


def code_hash(root: Path) -> str:
    """SHA-256 over the Python files of the product's packages, in path order."""
    digest = hashlib.sha256()
    for package in ("model", "data", "storage", "search_spaces", "reports", "trial"):
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


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
