"""Files and folders that are whole or not there: written under a hidden name beside their own, then moved in."""

from __future__ import annotations

import glob
import os
import shutil
import socket
from pathlib import Path

from storage.processes import process_start


def aside(path: Path, word: str = "tmp") -> Path:
    """A hidden name beside a path, for this process; what killed ones of this machine left there is removed."""
    host = socket.gethostname()
    for left in path.parent.glob(f".{glob.escape(f'{path.name}.{host}')}-*.{word}"):
        pid = left.name.removesuffix(f".{word}").rpartition("-")[2]
        if pid.isdigit() and process_start(int(pid)) is None:
            _remove(left)
    return path.with_name(f".{path.name}.{host}-{os.getpid()}.{word}")


def write_whole(path: Path, text: str) -> None:
    """Writes a file atomically, so that no reader ever sees half of it; makes its folder.

    Raises:
        OSError: it cannot be written; nothing half-written stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = aside(path)
    try:
        scratch.write_text(text, encoding="utf-8")
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
