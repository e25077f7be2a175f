"""The folder that a preparation works in: one process at a time, gone when it fails, and only if the disk has room."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from data.errors import DataError
from data.progress import Progress

POLL_SECONDS = 0.1


@contextlib.contextmanager
def alone(lock: Path, progress: Progress) -> Iterator[None]:
    """One process prepares; another says that it waits. A failure takes away the lock and the folders made for it."""
    held, made, waits = FileLock(lock), _make_stores_folder(lock.parent), False
    while not held.is_locked:
        try:
            held.acquire(timeout=0)
        except (Timeout, FileNotFoundError):
            if not waits:
                progress.say("another process is preparing this panel; waiting for it")
            waits = True
            time.sleep(POLL_SECONDS)
            made = made or _make_stores_folder(lock.parent)  # the other one was refused, and took its folder away
    finished = False
    try:
        yield
        finished = True
    finally:
        if not finished:
            _remove_traces(lock, made)  # while the lock is held: one who waits for it makes them, and knows it
        held.release()


def _remove_traces(lock: Path, made: list[Path]) -> None:
    lock.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not empty: there are stores
        for folder in made:
            folder.rmdir()


def _make_stores_folder(folder: Path) -> list[Path]:
    try:
        return make_folder(folder)
    except OSError as error:
        raise DataError(f"prepared markets need a folder that can be written, but {folder} is none: {error}") from error


def make_folder(folder: Path) -> list[Path]:
    """Makes a folder and returns those of its path that were not there, innermost first; raises OSError."""
    made = [part for part in (folder, *folder.parents) if not part.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return made


def remove_orphans(folder: Path) -> None:
    """Scratch of killed preparations: ours, whose lock we hold, and others' whose lock nobody holds."""
    for left in folder.parent.glob(".*.tmp"):
        key = left.name.split(".")[1]
        if key == folder.name:
            shutil.rmtree(left, ignore_errors=True)
            continue
        with contextlib.suppress(Timeout), FileLock(folder.parent / f".{key}.lock", timeout=0):
            shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """A folder beside the final one, gone afterwards whatever happens; a full disk is a message."""
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        scratch.mkdir(parents=True)
        yield scratch
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DataError(
                f"preparing needs more room than {folder.parent} has: {error.strerror}. Free some, or choose another "
                f"folder."
            ) from error
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def refuse_full_disk(needed: int, folder: Path) -> None:
    """Raises DataError where the disk has less than `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"preparing needs {needed / 2**30:.2f} GiB of disk, but {folder.parent} has {free / 2**30:.2f} GiB free. "
            f"Free some, or choose another folder."
        )
