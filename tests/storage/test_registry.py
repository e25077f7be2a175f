"""Champion and challengers follow from a log that is only appended to."""

from __future__ import annotations

import pytest
from optuna.storages import RDBStorage

from storage.errors import StorageError
from storage.registry import Entry, Registry, note, read_registry

SWEEP = "gat_ablation"
ONE, TWO, THREE = (Entry(letter * 64, "confirmed", f"/bundles/{letter}", "2024-01-31") for letter in "abc")


@pytest.fixture
def log(storage: RDBStorage) -> RDBStorage:
    for entry in (ONE, TWO):
        note(storage, SWEEP, "registered", entry, "made")
    note(storage, SWEEP, "promoted", ONE, "the first one")
    return storage


def test_nothing_is_known_of_a_sweep_without_a_log(storage: RDBStorage) -> None:
    found = read_registry(storage, SWEEP)
    assert (found.champion, found.challengers) == (None, ())
    with pytest.raises(StorageError, match="but there is none"):
        found.challenger(None)


def test_the_last_one_promoted_works_and_goes_back_to_the_one_before(log: RDBStorage) -> None:
    assert read_registry(log, SWEEP).champion == ONE
    assert read_registry(log, SWEEP).challengers == (TWO,)
    found = note(log, SWEEP, "promoted", TWO, "better")
    assert (found.champion, found.challengers) == (TWO, ())
    found = note(log, SWEEP, "rolled back", TWO, "it lost")
    assert found.champion == ONE
    assert found.challengers == (), "what was sent back is no challenger by default"
    with pytest.raises(StorageError, match=f"promoted before; --challenger takes .*: {TWO.short}"):
        found.challenger(None)
    assert found.challenger(TWO.short) == TWO, "but by its name"
    with pytest.raises(StorageError, match="has had one champion only"):
        note(log, SWEEP, "rolled back", ONE, "")
    assert [event.action for event in found.log] == [
        *("registered", "registered"),
        *("promoted", "promoted", "rolled back"),
    ]
    assert found.log[-1].reason == "it lost"
    assert "@" in found.log[-1].who


def test_a_challenger_is_the_newest_or_the_one_that_is_named(log: RDBStorage) -> None:
    found = note(log, SWEEP, "registered", THREE, "made")
    assert found.challenger(None) == THREE
    assert found.challenger("bbb") == TWO
    with pytest.raises(StorageError, match="begins with 'd', but there are"):
        found.challenger("d")
    with pytest.raises(StorageError, match="the only one"):
        Registry(SWEEP, found.log).challenger("")


def test_a_bundle_is_registered_once_and_sweeps_are_apart(log: RDBStorage) -> None:
    with pytest.raises(StorageError, match="registered once"):
        note(log, SWEEP, "registered", ONE, "again")
    other = ONE._replace(weights="through-2024-06-28")
    assert note(log, SWEEP, "registered", other, "other weights of it").challenger(None) == other
    assert note(log, "norm_ablation", "registered", ONE, "elsewhere").champion is None
