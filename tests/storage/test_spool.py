"""While the store is away, what arrives waits in a file; replayed, it is as if the store had never been away."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage

import storage.spool
from storage.attempt import Ending
from storage.errors import StorageError, StoreAwayError
from storage.spool import SpooledStudy, read_spool, replay
from storage.study import StudyStore
from tests.storage.helpers import draw, open_study, report


@pytest.fixture
def study(storage: RDBStorage) -> StudyStore:
    return open_study(storage)


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Turns the store off and on."""
    monkeypatch.setattr(storage.spool, "LOOK_SECONDS", 0.0)
    perform, is_there = storage.spool.perform, storage.spool.is_there

    def refuse(*_: object) -> None:
        raise StoreAwayError("the store must take reads and writes, but it does not: gone. Look at it.")

    def turn(off: bool) -> None:
        monkeypatch.setattr(storage.spool, "perform", refuse if off else perform)
        monkeypatch.setattr(storage.spool, "is_there", (lambda engine: False) if off else is_there)

    return turn


def started(study: StudyStore) -> optuna.Trial:
    trial = study.ask()
    draw(trial)
    study.start(trial, {"attempts": 1})
    return trial


def ending(trial: optuna.Trial, **more: object) -> Ending:
    cost = {"epochs": 2, "wall_seconds": 1.0, "train_seconds": 1.0, "gpu_seconds": 0.0}
    content = {"state": "COMPLETE", "values": (0.2,), "attributes": {"reason": "complete"}, "cost": cost} | more
    return Ending(trial.number, trial._trial_id, 0, "complete", **content)  # type: ignore[arg-type]


def send(spooled: SpooledStudy, trial: optuna.Trial) -> None:
    for epoch in (1, 2):
        spooled.record_epoch(replace(report(trial, epoch, epoch / 10), fold="search", horizons=(1,)))
    spooled.end(ending(trial, events=(("noted", "something happened"),)))


def line_of(trial: optuna.Trial) -> str:
    """An epoch as it waits in the file."""
    return json.dumps({"kind": "epoch", "content": vars(report(trial, 1, 0.1))})


def test_what_arrives_is_replayed_in_order_once_the_store_is_back(
    study: StudyStore, tmp_path: Path, away: Callable[[bool], None]
) -> None:
    said: list[str] = []
    spooled, trial = SpooledStudy(study, tmp_path / "spool.jsonl", said.append), started(study)
    away(True)
    send(spooled, trial)
    assert not spooled.is_back()
    assert study.known_epochs(trial.number) == ()
    assert [line["kind"] for line in read_spool(tmp_path / "spool.jsonl")] == ["epoch", "epoch", "end"]
    away(False)
    assert spooled.is_back()
    stored = study.storage.get_trial(trial._trial_id)
    assert (stored.state.name, stored.values, stored.intermediate_values) == ("COMPLETE", [0.2], {1: 0.1, 2: 0.2})
    assert not (tmp_path / "spool.jsonl").exists()
    assert "no new trial starts" in said[0]
    assert "3 writes that waited were replayed" in said[1]


def test_the_next_start_replays_and_a_second_time_changes_nothing(
    study: StudyStore, tmp_path: Path, away: Callable[[bool], None]
) -> None:
    spooled, trial, path = SpooledStudy(study, tmp_path / "spool.jsonl"), started(study), tmp_path / "spool.jsonl"
    away(True)
    send(spooled, trial)
    away(False)
    content = path.read_text()
    for _ in range(2):
        path.write_text(content)
        assert replay(study, path) == 3
        assert study.counts()["COMPLETE"] == 1
        assert len(study.known_epochs(trial.number)) == 2
        assert len(storage.record.read_events(study.storage, study.name)) == 1


def test_a_trial_that_a_later_attempt_goes_on_with_is_left_to_it(
    study: StudyStore, tmp_path: Path, away: Callable[[bool], None]
) -> None:
    spooled, trial = SpooledStudy(study, tmp_path / "spool.jsonl"), started(study)
    away(True)
    send(spooled, trial)
    away(False)
    study.set_attributes(trial._trial_id, {"attempts": 2})
    replay(study, tmp_path / "spool.jsonl")
    assert study.counts()["RUNNING"] == 1
    assert study.known_epochs(trial.number) == ()


def test_a_last_line_that_was_cut_short_is_left_out(study: StudyStore, tmp_path: Path) -> None:
    path = tmp_path / "spool.jsonl"
    path.write_text(line_of(started(study)) + '\n{"kind": "ep')
    assert replay(study, path) == 1
    assert len(study.known_epochs(0)) == 1


def test_a_damaged_line_in_the_middle_is_refused_and_the_file_stays(study: StudyStore, tmp_path: Path) -> None:
    path = tmp_path / "spool.jsonl"
    path.write_text(f'{{"kind": "ep\n{line_of(started(study))}\n')
    with pytest.raises(StorageError, match=r"line 1 of .* is not"):
        replay(study, path)
    assert path.exists()


def test_without_a_disk_either_it_is_said(study: StudyStore, tmp_path: Path, away: Callable[[bool], None]) -> None:
    (tmp_path / "file").touch()
    spooled, trial = SpooledStudy(study, tmp_path / "file" / "spool.jsonl"), started(study)
    away(True)
    with pytest.raises(StoreAwayError, match=r"could not be kept in .*checkpoints have it"):
        send(spooled, trial)


def test_endings_survive_the_file() -> None:
    one = Ending(3, 7, 1, "crash", "FAIL", None, {"a": [1]}, (("crash", "it died"),), {"epochs": 1}, None, True)
    assert Ending.from_dict(one.to_dict()) == one
