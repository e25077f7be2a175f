"""What dead drivers left is taken up; what a living one runs, and what this one has in hand, is left alone."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from storage.database import open_storage
from storage.lease import Lease
from storage.spool import spool_of
from storage.study import StudyStore
from storage.tables import joined, leases
from tests.storage.helpers import report
from trial.adoption import Adoption

STUDY, THEIRS = "s", "theirs"


@pytest.fixture
def adoption(tmp_path: Path) -> Adoption:
    study = StudyStore(open_storage(f"sqlite:///{tmp_path}/sweeps.db"), STUDY)
    return Adoption(study, Lease(study.storage.engine, STUDY), tmp_path)


def ask(adoption: Adoption, **attributes: Any) -> int:
    """A RUNNING trial; its number."""
    trial = adoption.study.ask()
    adoption.study.start(trial, attributes)
    return trial.number


def live_beside(adoption: Adoption, seconds: float = 60.0) -> None:
    """Another host's driver joins, as one can on PostgreSQL."""
    now = time.time()
    row = {"study": STUDY, "owner": THEIRS, "host": "node-7", "pid": 1, "started": 0.0, "taken": now}
    with adoption.study.storage.engine.begin() as connection:
        connection.execute(joined.insert().values(**row, expires=now + seconds))


def test_a_dead_drivers_trials_and_those_nobody_owns_wait_again(adoption: Adoption) -> None:
    left = [ask(adoption, driver=THEIRS), ask(adoption)]
    assert adoption.adopt() == left
    assert adoption.study.counts()["WAITING"] == 2


def test_of_its_own_a_driver_takes_up_what_it_lost_sight_of(adoption: Adoption) -> None:
    kept, lost = ask(adoption, driver=adoption.lease.owner), ask(adoption, driver=adoption.lease.owner)
    assert adoption.adopt({kept}) == [lost]
    assert adoption.study.counts()["RUNNING"] == 1


def test_a_living_driver_s_trials_are_left_alone_until_it_is_dead(adoption: Adoption) -> None:
    number = ask(adoption, driver=THEIRS)
    live_beside(adoption)
    assert adoption.adopt() == []
    with adoption.study.storage.engine.begin() as connection:
        connection.execute(joined.update().values(expires=time.time() - 1))
    assert adoption.adopt() == [number]


def test_a_driver_beside_another_looks_after_its_own_alone(adoption: Adoption) -> None:
    adoption.lease.__class__ = type("Beside", (Lease,), {"is_first": False})
    with adoption.study.storage.engine.begin() as connection:
        connection.execute(leases.update().values(owner=THEIRS, host="node-7"))
    number = ask(adoption, driver=adoption.lease.owner)
    ask(adoption)
    ask(adoption, driver="dead")
    assert adoption.adopt() == [number]
    assert adoption.replay() == 0


def test_writes_of_dead_drivers_are_replayed_and_those_of_living_ones_stay(adoption: Adoption) -> None:
    trial = adoption.study.ask()
    live_beside(adoption)
    for epoch, owner in ((1, "dead"), (2, THEIRS), (3, adoption.lease.owner)):
        content = vars(report(trial, epoch, 0.1))
        line = json.dumps({"kind": "epoch", "content": content}) + "\n"
        spool_of(adoption.folder, owner).write_text(line)
    assert adoption.replay() == 1
    assert [result["epoch"] for result in adoption.study.known_epochs(trial.number)] == [1]
    assert len(list(adoption.folder.glob("spool-*.jsonl"))) == 2
