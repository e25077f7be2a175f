"""A folder that is whole or not there: a manifest with the SHA-256 of each file, written last and moved in at once."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from storage.errors import StorageError
from storage.files import aside

MANIFEST = "MANIFEST.json"
EXPORTED_AGAIN = "Copy it again from where it was exported, or export it again."
FORMAT = 2  # raise when an older program could no longer read what is written


class BundleError(StorageError):
    """What is wrong with a bundle, by the file's name."""


def seal(folder: Path) -> None:
    """Writes the manifest of every file in the folder; nothing may be added afterwards."""
    files = {str(path.relative_to(folder)): _digest(path) for path in _files(folder)}
    content = {"format": FORMAT, "files": files, "sha256": _own_digest(FORMAT, files)}
    (folder / MANIFEST).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def verify(folder: Path, what: str = "a bundle", way: str = EXPORTED_AGAIN) -> str:
    """Proves that the folder holds what was sealed, byte by byte.

    Args:
        folder: to be proved.
        what: it is, in a message.
        way: out, in a message.

    Returns:
        the SHA-256 of the manifest: the bundle's own name, wherever it lies.

    Raises:
        BundleError: no bundle, one of a newer program, or a file that is missing, altered, or was not in it.
    """
    sealed = _read_manifest(folder)
    present = {str(path.relative_to(folder)): path for path in _files(folder) if path.name != MANIFEST}
    missing, strange = sorted(sealed.keys() - present.keys()), sorted(present.keys() - sealed.keys())
    altered = sorted(name for name in sealed.keys() & present.keys() if _digest(present[name]) != sealed[name])
    faults = {"missing": missing, "altered": altered, "not of it": strange}
    told = "; ".join(f"{', '.join(names)} {word}" for word, names in faults.items() if names)
    if told:
        raise BundleError(f"{what} must be as it was sealed, but in {folder}: {told}. {way}")
    return _digest(folder / MANIFEST)


@contextmanager
def scratch_beside(folder: Path) -> Iterator[Path]:
    """A folder beside the final one; gone afterwards, whatever happens.

    Raises:
        BundleError: it cannot be written.
    """
    scratch = aside(folder)
    try:
        scratch.mkdir(parents=True)
        yield scratch
    except OSError as error:
        raise BundleError(f"a bundle needs a folder that can be written, but {folder} is none: {error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def publish(scratch: Path, folder: Path, force: bool) -> None:
    """Moves a finished folder to its place, over an older one where `force`; a killed process leaves one whole.

    Raises:
        BundleError: something is there already, or what is there is no bundle.
    """
    refuse_existing(folder, force)
    if not folder.exists():
        scratch.rename(folder)
        return
    retired = aside(folder, "old")
    folder.rename(retired)
    scratch.rename(folder)
    shutil.rmtree(retired, ignore_errors=True)


def refuse_existing(folder: Path, force: bool, way: str = "Choose another, or give --force.") -> None:
    """Raises BundleError where a bundle may not be put there."""
    if not folder.exists():
        return
    if not force:
        raise BundleError(f"a bundle goes to a new folder, but {folder} is there. {way}")
    if not (folder / MANIFEST).is_file():
        raise BundleError(f"--force replaces a bundle, but {folder} is none. Choose another folder.")


def _read_manifest(folder: Path) -> dict[str, str]:
    path = folder / MANIFEST
    try:
        content: Any = json.loads(path.read_text())
        files, version, own = content["files"], content["format"], content["sha256"]
    except FileNotFoundError:
        raise BundleError(f"a bundle must have a {MANIFEST}, but {folder} has none. Check the path.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _altered_manifest(folder) from error
    if own != _own_digest(version, files):
        raise _altered_manifest(folder)
    if version != FORMAT:
        raise BundleError(
            f"a bundle must be of format {FORMAT}, but {folder} is of {version}. Use the version that exported it."
        )
    return dict(files)


def _altered_manifest(folder: Path) -> BundleError:
    return BundleError(
        f"a bundle must be as it was sealed, but the {MANIFEST} of {folder} is altered. Copy it again from where it "
        f"was exported, or export it again."
    )


def _own_digest(version: Any, files: Any) -> str:
    """So that an altered manifest is known for one."""
    return hashlib.sha256(json.dumps([version, files], sort_keys=True).encode()).hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() or path.is_symlink())


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
