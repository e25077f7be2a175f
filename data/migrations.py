"""Versions of the prepared store's layout, and the steps from each to the next.

A store of an older version is copied, migrated step by step and swapped in; one of a newer version is refused.
To change the layout: raise `SCHEMA_VERSION` by one and register the step that brings a folder up to it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from filelock import FileLock

from data.errors import DataError
from data.keys import cells_key

SCHEMA_VERSION = 4


def _add_cells_key(folder: Path) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    meta["cells_key"] = cells_key(folder, [meta["dates"], meta["codes"], meta["features"]])
    (folder / "meta.json").write_text(json.dumps(meta))


def _add_end_of_holdout(folder: Path) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    if meta["holdout_from"] is not None:
        raise DataError(
            "a prepared store must say through which day its hold-out goes, which one of version 3 does not."
        )
    (folder / "meta.json").write_text(json.dumps(meta | {"held_out_through": None}))


Step = Callable[[Path], None]
# version it starts from -> what makes it one higher, in place, or says what it lacks (DataError)
STEPS: dict[int, Step] = {2: _add_cells_key, 3: _add_end_of_holdout}


def migrate(folder: Path, steps: Mapping[int, Step] | None = None, target: int = SCHEMA_VERSION) -> None:
    """Brings a store up to `target`; a store that is there already is left untouched.

    Raises:
        DataError: the store is newer than this program, or a step is missing.
    """
    steps = STEPS if steps is None else steps
    if _version(folder) == target:
        return
    with FileLock(folder.with_name(f".{folder.name}.migration.lock")):
        version = _version(folder)  # another process may have been faster
        if version > target:
            raise DataError(
                f"a prepared store must be of version {target} or older, but {folder} is of version {version}, made "
                f"by a newer program. Update this one, or remove the folder to prepare it again."
            )
        missing = [v for v in range(version, target) if v not in steps]
        if missing:
            raise DataError(f"no migration leads from version {missing[0]}; remove {folder} to prepare it again.")
        if version < target:
            _migrate_copy(folder, steps, version, target)


def _migrate_copy(folder: Path, steps: Mapping[int, Step], version: int, target: int) -> None:
    scratch, retired = (folder.with_name(f".{folder.name}.{word}") for word in ("migrating", "retired"))
    for left in (scratch, retired):
        shutil.rmtree(left, ignore_errors=True)
    shutil.copytree(folder, scratch)
    try:
        for step in range(version, target):
            steps[step](scratch)
            _set_version(scratch, step + 1)
    except DataError as refusal:
        shutil.rmtree(scratch)
        raise DataError(f"{refusal} Remove {folder}, and the panel is prepared again.") from None
    folder.rename(retired)
    scratch.rename(folder)
    shutil.rmtree(retired)


def _version(folder: Path) -> int:
    return int(json.loads((folder / "meta.json").read_text())["schema_version"])


def _set_version(folder: Path, version: int) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | {"schema_version": version}))
