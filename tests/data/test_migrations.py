"""Migrations: in order, on a copy, swapped in whole; a failure leaves the store as it was."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from data.config import DataConfig
from data.errors import DataError
from data.migrations import SCHEMA_VERSION, STEPS, Step, migrate
from data.prepare import prepare
from data.store import MarketStore

NEXT, AFTER = SCHEMA_VERSION + 1, SCHEMA_VERSION + 2


@pytest.fixture
def folder(small_store: MarketStore, tmp_path: Path) -> Path:
    """A private copy of the small store."""
    return Path(shutil.copytree(small_store.folder, tmp_path / "store"))


def version_of(folder: Path) -> int:
    return json.loads((folder / "meta.json").read_text())["schema_version"]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file's bytes by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def note(line: str) -> Step:
    """A step that appends to a diary in the folder it was given."""

    def step(folder: Path) -> None:
        diary = folder / "diary.txt"
        diary.write_text((diary.read_text() if diary.exists() else "") + line)

    return step


def set_version(folder: Path, version: int) -> None:
    meta = json.loads((folder / "meta.json").read_text()) | {"schema_version": version}
    (folder / "meta.json").write_text(json.dumps(meta))


def test_shipped_steps_lead_up_to_this_version_without_a_gap() -> None:
    assert sorted(STEPS) == list(range(SCHEMA_VERSION - len(STEPS), SCHEMA_VERSION))


def test_a_store_of_version_1_must_be_prepared_again(folder: Path) -> None:
    """It lacks arrays that only the panel has."""
    set_version(folder, 1)
    before = contents(folder)
    with pytest.raises(DataError, match=f"no migration leads from version 1; remove {folder} to prepare it again"):
        migrate(folder)
    assert contents(folder) == before


@pytest.fixture
def of_version_3(small_panel: Path, small_config: DataConfig, tmp_path: Path) -> Callable[[int], Path]:
    """A store that holds out so many days and does not say through which."""

    def make(holdout_days: int) -> Path:
        splits = small_config.splits.model_copy(update={"holdout_days": holdout_days})
        store = prepare(small_panel, tmp_path / "prepared", small_config.model_copy(update={"splits": splits}))
        without(store.folder, "held_out_through", 3)
        return store.folder

    return make


def without(folder: Path, key: str, version: int) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    del meta[key]
    (folder / "meta.json").write_text(json.dumps(meta | {"schema_version": version}))


def test_a_store_of_version_3_that_held_out_nothing_opens(of_version_3: Callable[[int], Path]) -> None:
    assert MarketStore.open(of_version_3(0)).meta.held_out_through is None


def test_one_that_held_out_days_must_be_prepared_again(of_version_3: Callable[[int], Path]) -> None:
    """It does not say through which day, and the panel may have grown since."""
    folder = of_version_3(20)
    before = contents(folder)
    with pytest.raises(DataError, match=f"through which day its hold-out goes.* Remove {folder}"):
        MarketStore.open(folder)
    assert contents(folder) == before


def test_a_store_of_version_2_gets_the_key_of_its_cells(of_version_3: Callable[[int], Path]) -> None:
    folder = of_version_3(0)
    key = json.loads((folder / "meta.json").read_text())["cells_key"]
    without(folder, "cells_key", 2)
    assert MarketStore.open(folder).meta.cells_key == key


def test_a_store_that_is_up_to_date_is_not_touched(folder: Path) -> None:
    before, written = contents(folder), (folder / "meta.json").stat().st_mtime_ns
    migrate(folder)
    assert contents(folder) == before
    assert (folder / "meta.json").stat().st_mtime_ns == written


def test_steps_run_in_order_and_the_version_follows(folder: Path) -> None:
    migrate(folder, {NEXT: note("second "), SCHEMA_VERSION: note("first ")}, target=AFTER)
    assert (folder / "diary.txt").read_text() == "first second "
    assert version_of(folder) == AFTER


def test_only_the_steps_that_are_needed_run(folder: Path) -> None:
    migrate(folder, {SCHEMA_VERSION: note("first "), NEXT: note("second ")}, target=NEXT)
    assert (folder / "diary.txt").read_text() == "first "


def test_a_step_sees_the_version_it_starts_from(folder: Path) -> None:
    seen: list[int] = []
    steps: dict[int, Step] = {version: lambda f: seen.append(version_of(f)) for version in (SCHEMA_VERSION, NEXT)}
    migrate(folder, steps, target=AFTER)
    assert seen == [SCHEMA_VERSION, NEXT]


def test_steps_work_on_a_copy(folder: Path) -> None:
    before = contents(folder)

    def step(scratch: Path) -> None:
        assert scratch != folder
        (scratch / "labels.npy").unlink()
        assert contents(folder) == before

    migrate(folder, {SCHEMA_VERSION: step}, target=NEXT)
    assert not (folder / "labels.npy").exists()


def test_the_arrays_survive_and_nothing_else_is_left_lying_about(folder: Path, small_store: MarketStore) -> None:
    migrate(folder, {SCHEMA_VERSION: note("one")}, target=NEXT)
    np.testing.assert_array_equal(np.load(folder / "features.npy"), small_store.features)
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == ["store"]


def test_a_missing_step_is_refused_before_anything_happens(folder: Path) -> None:
    before = contents(folder)
    with pytest.raises(DataError, match=f"no migration leads from version {NEXT}"):
        migrate(folder, {SCHEMA_VERSION: note("one")}, target=AFTER)
    assert contents(folder) == before


def test_a_newer_store_is_refused(folder: Path) -> None:
    migrate(folder, {SCHEMA_VERSION: note("one")}, target=NEXT)
    with pytest.raises(DataError, match=f"of version {SCHEMA_VERSION} or older, but .* of version {NEXT}"):
        migrate(folder)


def fail_half_way(scratch: Path) -> None:
    """Spoils the folder it was given, then raises."""
    (scratch / "features.npy").write_bytes(b"half")
    raise OSError("disk full")


@pytest.mark.parametrize("failing", [SCHEMA_VERSION, NEXT])
def test_a_step_that_raises_leaves_the_store_intact_and_openable(folder: Path, failing: int) -> None:
    before = contents(folder)
    with pytest.raises(OSError, match="disk full"):
        migrate(folder, {SCHEMA_VERSION: note("one"), NEXT: note("two"), failing: fail_half_way}, target=AFTER)
    assert contents(folder) == before
    assert MarketStore.open(folder).num_days == 240


def test_after_a_failure_the_next_try_starts_from_the_original(folder: Path) -> None:
    with pytest.raises(OSError, match="disk full"):
        migrate(folder, {SCHEMA_VERSION: note("one "), NEXT: fail_half_way}, target=AFTER)
    migrate(folder, {SCHEMA_VERSION: note("one "), NEXT: note("two ")}, target=AFTER)
    assert (folder / "diary.txt").read_text() == "one two "


def test_what_a_killed_migration_left_does_not_block_the_next(folder: Path) -> None:
    """A process may die after its swap and before it has removed the original."""
    migrate(folder, {SCHEMA_VERSION: note("one")}, target=NEXT)
    retired = folder.with_name(f".{folder.name}.retired")
    retired.mkdir()
    (retired / "present.npy").write_bytes(b"left")
    migrate(folder, {NEXT: note(" two")}, target=AFTER)
    assert (folder / "diary.txt").read_text() == "one two"


def test_a_worker_that_opens_an_old_store_while_another_migrates_it_waits(folder: Path) -> None:
    begun, failures = Event(), []

    def slow(scratch: Path) -> None:
        begun.set()
        time.sleep(0.5)
        note("one")(scratch)

    def work() -> None:
        try:
            migrate(folder, {SCHEMA_VERSION: slow}, target=NEXT)
        except OSError as error:
            failures.append(error)

    first = Thread(target=work)
    first.start()
    assert begun.wait(timeout=30)
    work()
    first.join()
    assert failures == []
    assert (folder / "diary.txt").read_text() == "one"
    assert version_of(folder) == NEXT
