"""One driver at a time: a living holder is respected, a dead one replaced at once, and only one replaces it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from optuna.storages import RDBStorage

from storage import lease as lease_module
from storage.database import check_url
from storage.errors import LeaseLostError, StorageError
from storage.lease import LIFETIME_SECONDS, Lease, living_owners, take_lease
from storage.tables import leases
from tests.storage.conftest import PostgreSQLStores, SQLiteStores
from tests.storage.helpers import at_once, rows_of

ROOT = Path(__file__).parents[2]
STUDY = "gat_ablation"
StartHolder = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def engine(storage: RDBStorage) -> sa.Engine:
    return storage.engine


@pytest.fixture
def start_holder(url: str) -> Iterator[StartHolder]:
    """Starts a second process that holds the lease on a study."""
    started: list[subprocess.Popen[str]] = []

    def start(study: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.storage.lease_holder", url, study]
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        assert said == "held", process.communicate()[1]
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def always_renew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0.0)


def insert_holder(engine: sa.Engine, study: str = STUDY, **changes: Any) -> None:
    """Another host's driver, which has been running for five minutes and was last seen just now."""
    now = time.time()
    row = {"study": study, "owner": "theirs", "host": "node-7", "pid": 4711, "started": 123.0}
    times = {"taken": now - 300, "expires": now + LIFETIME_SECONDS}
    with engine.begin() as connection:
        connection.execute(leases.insert().values(row | times | changes))


def die_unreaped(process: subprocess.Popen[str]) -> None:
    """Kills it, and leaves the zombie: the pid still exists."""
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


class TestTaking:
    def test_a_free_lease_is_taken_in_this_processs_name(self, engine: sa.Engine) -> None:
        lease = Lease(engine, STUDY)
        (row,) = rows_of(engine, leases)
        assert (row["study"], row["owner"]) == (STUDY, lease.owner)
        assert (row["pid"], row["host"]) == (os.getpid(), socket.gethostname())
        assert row["expires"] == pytest.approx(time.time() + LIFETIME_SECONDS, abs=5)

    def test_each_study_has_a_lease_of_its_own(self, engine: sa.Engine) -> None:
        owners = {Lease(engine, STUDY).owner, Lease(engine, f"{STUDY}.confirm").owner}
        assert {row["owner"] for row in rows_of(engine, leases)} == owners

    def test_a_second_driver_of_this_process_is_refused(self, engine: sa.Engine) -> None:
        first = Lease(engine, STUDY)
        with pytest.raises(StorageError, match=f"process {os.getpid()} on"):
            Lease(engine, STUDY)
        assert [row["owner"] for row in rows_of(engine, leases)] == [first.owner]


class TestHolderOnThisHost:
    def test_that_lives_is_named_in_the_refusal(self, engine: sa.Engine, start_holder: StartHolder) -> None:
        holder = start_holder(STUDY)
        with pytest.raises(StorageError, match="one driver at a time") as refusal:
            Lease(engine, STUDY)
        message = str(refusal.value)
        assert f"process {holder.pid} on {socket.gethostname()}" in message
        assert repr(STUDY) in message
        assert "--name" in message

    def test_that_was_killed_is_replaced_at_once(self, engine: sa.Engine, start_holder: StartHolder) -> None:
        die_unreaped(start_holder(STUDY))
        start = time.monotonic()
        lease = Lease(engine, STUDY)
        assert time.monotonic() - start < 5
        (row,) = rows_of(engine, leases)
        assert (row["owner"], row["pid"]) == (lease.owner, os.getpid())

    def test_that_is_gone_is_replaced(self, engine: sa.Engine) -> None:
        done = subprocess.Popen([sys.executable, "-c", ""])
        done.wait()
        insert_holder(engine, host=socket.gethostname(), pid=done.pid)
        lease = Lease(engine, STUDY)
        assert [row["owner"] for row in rows_of(engine, leases)] == [lease.owner]

    def test_whose_pid_is_another_processs_now_is_replaced(self, engine: sa.Engine) -> None:
        insert_holder(engine, host=socket.gethostname(), pid=os.getpid(), started=1.0)
        lease = Lease(engine, STUDY)
        assert [row["owner"] for row in rows_of(engine, leases)] == [lease.owner]

    def test_that_lives_but_was_too_busy_to_renew_is_respected(
        self, engine: sa.Engine, start_holder: StartHolder
    ) -> None:
        start_holder(STUDY)
        with engine.begin() as connection:
            connection.execute(leases.update().values(expires=time.time() - 1000))
        with pytest.raises(StorageError, match="one driver at a time"):
            Lease(engine, STUDY)


class TestHolderOnAnotherHost:
    def test_is_respected_until_its_lease_expires(self, engine: sa.Engine) -> None:
        insert_holder(engine)
        with pytest.raises(StorageError, match=r"process 4711 on node-7 has been running 'gat_ablation' for 5 min"):
            Lease(engine, STUDY)
        assert [row["owner"] for row in rows_of(engine, leases)] == ["theirs"]

    def test_is_replaced_afterwards(self, engine: sa.Engine) -> None:
        insert_holder(engine, expires=time.time() - 1)
        lease = Lease(engine, STUDY)
        assert [row["owner"] for row in rows_of(engine, leases)] == [lease.owner]

    def test_is_respected_even_where_a_process_here_has_its_pid(self, engine: sa.Engine) -> None:
        insert_holder(engine, pid=os.getpid(), started=1.0)
        with pytest.raises(StorageError, match="node-7"):
            Lease(engine, STUDY)

    def test_that_renews_while_it_is_being_replaced_keeps_the_lease(self, engine: sa.Engine, url: str) -> None:
        insert_holder(engine, expires=time.time() - 1)
        ours = sa.create_engine(check_url(url), poolclass=sa.pool.NullPool)

        def renew(connection: sa.Connection, cursor: object, statement: str, *arguments: object) -> None:
            """Their driver wakes up just before our write reaches the database."""
            if statement.startswith("UPDATE"):
                with engine.begin() as other:
                    other.execute(leases.update().values(expires=time.time() + LIFETIME_SECONDS))

        sa.event.listen(ours, "before_cursor_execute", renew)
        with pytest.raises(StorageError, match="node-7"):
            Lease(ours, STUDY)
        assert [row["owner"] for row in rows_of(engine, leases)] == ["theirs"]


class TestRenewing:
    def test_prolongs(self, engine: sa.Engine, always_renew: None) -> None:
        lease = Lease(engine, STUDY)
        (before,) = rows_of(engine, leases)
        time.sleep(0.01)
        lease.renew()
        (after,) = rows_of(engine, leases)
        assert after["expires"] > before["expires"]
        assert after | {"expires": None} == before | {"expires": None}

    def test_writes_now_and_then_only(self, engine: sa.Engine) -> None:
        lease = Lease(engine, STUDY)
        before = rows_of(engine, leases)
        time.sleep(0.01)
        lease.renew()
        assert rows_of(engine, leases) == before

    def test_after_a_takeover_stops_the_driver(self, engine: sa.Engine, always_renew: None) -> None:
        lease = Lease(engine, STUDY)
        with engine.begin() as connection:
            connection.execute(leases.update().values(host="node-7", expires=time.time() - 1))
        successor = Lease(engine, STUDY)
        with pytest.raises(LeaseLostError, match="'gat_ablation' was taken over by another driver"):
            lease.renew()
        assert [row["owner"] for row in rows_of(engine, leases)] == [successor.owner]

    def test_after_a_release_stops_the_driver(self, engine: sa.Engine, always_renew: None) -> None:
        lease = Lease(engine, STUDY)
        lease.release()
        with pytest.raises(StorageError, match="taken over"):
            lease.renew()
        assert rows_of(engine, leases) == []


class TestReleasing:
    def test_frees_the_study(self, engine: sa.Engine) -> None:
        Lease(engine, STUDY).release()
        assert rows_of(engine, leases) == []
        assert Lease(engine, STUDY).study == STUDY

    def test_twice_is_harmless(self, engine: sa.Engine) -> None:
        lease = Lease(engine, STUDY)
        lease.release()
        successor = Lease(engine, STUDY)
        lease.release()
        assert [row["owner"] for row in rows_of(engine, leases)] == [successor.owner]

    def test_leaves_other_studies_alone(self, engine: sa.Engine) -> None:
        other = Lease(engine, "other")
        Lease(engine, STUDY).release()
        assert [row["owner"] for row in rows_of(engine, leases)] == [other.owner]


@pytest.mark.parametrize("is_dead_holder_there", [False, True], ids=["free", "dead holder"])
def test_of_several_drivers_at_once_exactly_one_wins(engine: sa.Engine, is_dead_holder_there: bool) -> None:
    for study in map(str, range(10)):
        if is_dead_holder_there:
            insert_holder(engine, study, expires=time.time() - 1)
        outcomes = at_once(*[lambda study=study: Lease(engine, study)] * 3)
        winners = [outcome for outcome in outcomes if isinstance(outcome, Lease)]
        losers = [outcome for outcome in outcomes if isinstance(outcome, StorageError)]
        assert (len(winners), len(losers)) == (1, 2), outcomes
        assert [row["owner"] for row in rows_of(engine, leases) if row["study"] == study] == [winners[0].owner]


class TestJoining:
    """A second driver beside a living one, on PostgreSQL."""

    @pytest.fixture
    def shared(self, postgresql_stores: PostgreSQLStores) -> sa.Engine:
        return postgresql_stores.prepared().engine

    def test_is_refused_on_sqlite(self, sqlite_stores: SQLiteStores) -> None:
        with pytest.raises(StorageError, match="on PostgreSQL only"):
            take_lease(sqlite_stores.prepared().engine, STUDY, join=True)

    def test_a_free_study_is_led(self, shared: sa.Engine) -> None:
        lease = take_lease(shared, STUDY, join=True)
        assert lease.is_first
        assert living_owners(shared, STUDY) == {lease.owner}

    def test_a_living_driver_is_worked_beside(self, shared: sa.Engine) -> None:
        insert_holder(shared)
        one, two = (take_lease(shared, STUDY, join=True) for _ in range(2))
        assert not one.is_first
        assert living_owners(shared, STUDY) == {"theirs", one.owner, two.owner}
        two.release()
        assert living_owners(shared, STUDY) == {"theirs", one.owner}
        assert [row["owner"] for row in rows_of(shared, leases)] == ["theirs"]

    def test_a_dead_leader_is_replaced_by_one_of_those_beside(self, shared: sa.Engine, always_renew: None) -> None:
        insert_holder(shared)
        both = [take_lease(shared, STUDY, join=True) for _ in range(2)]
        with shared.begin() as connection:
            connection.execute(leases.update().values(expires=time.time() - 1))
        at_once(*(lease.renew for lease in both))
        assert [lease.is_first for lease in both].count(True) == 1
        (row,) = rows_of(shared, leases)
        assert row["owner"] in {lease.owner for lease in both if lease.is_first}

    def test_only_one_counts_and_asks_at_a_time(self, shared: sa.Engine) -> None:
        insert_holder(shared)
        inside: list[int] = []

        def ask(lease: Lease) -> None:
            with lease.in_turn():
                inside.append(1)
                assert len(inside) == 1
                time.sleep(0.05)
                inside.pop()

        leases_beside = [take_lease(shared, STUDY, join=True) for _ in range(4)]
        assert at_once(*(partial(ask, lease) for lease in leases_beside)) == [None] * 4
