"""A wish to stop: seen once it is there, by drivers that are older, of the same study alone."""

from __future__ import annotations

import pytest
from optuna.storages import RDBStorage

from storage import drain
from storage.drain import Drain, ask_to_stop


@pytest.fixture
def always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "LOOK_SECONDS", 0.0)


def test_a_wish_reaches_the_driver_of_its_study(storage: RDBStorage, always_look: None) -> None:
    mine, other = Drain(storage.engine, "mine"), Drain(storage.engine, "other")
    assert mine.asked() is None
    name = ask_to_stop(storage.engine, "mine")
    assert mine.asked() == f"asked to stop by {name}"
    assert other.asked() is None


def test_a_wish_of_before_stops_no_later_driver(storage: RDBStorage, always_look: None) -> None:
    ask_to_stop(storage.engine, "mine")
    driver = Drain(storage.engine, "mine")
    assert driver.asked() is None
    ask_to_stop(storage.engine, "mine")
    assert driver.asked() is not None


def test_it_looks_now_and_then_only(storage: RDBStorage) -> None:
    driver = Drain(storage.engine, "mine")
    ask_to_stop(storage.engine, "mine")
    assert driver.asked() is None, "it has only just looked"
