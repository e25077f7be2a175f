"""Things computed once beside a store and found again by the hash of all that they depend on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import xxhash
from filelock import FileLock


def digest(content: object) -> str:
    """Hash of plain JSON content, whatever the order of its keys."""
    return xxhash.xxh3_128_hexdigest(json.dumps(content, sort_keys=True).encode())[:16]


def made_once(path: Path, make: Callable[[Path], object]) -> Path:
    """The path, after `make` has written it aside where it was not there; one process makes it, the others wait."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.parent / f".{path.name}.lock"):
            if not path.exists():
                scratch = path.with_suffix(f".{os.getpid()}.tmp")
                make(scratch)
                scratch.rename(path)
    return path
