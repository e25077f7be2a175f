"""A held connection: each statement commits by itself; one that died is replaced; closed with its engine."""

from __future__ import annotations

import time
from threading import Thread

import pytest
import sqlalchemy as sa
from optuna.storages import RDBStorage

from storage.database import LOCK_TIMEOUT_SECONDS, persistently
from storage.line import by_itself
from storage.tables import events

ROW = {"study": "s", "kind": "k", "message": "m"}


def write(engine: sa.Engine) -> None:
    with by_itself(engine) as connection:
        connection.execute(events.insert().values(**ROW))


def number_of_rows(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(events)).scalar_one())


def session_of(engine: sa.Engine) -> int:
    with by_itself(engine) as connection:
        return int(connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one())


def test_each_statement_is_there_for_others_at_once(storage: RDBStorage) -> None:
    for number in range(3):
        write(storage.engine)
        assert number_of_rows(storage.engine) == number + 1


def test_an_error_leaves_it_usable(storage: RDBStorage) -> None:
    with pytest.raises(sa.exc.DBAPIError), by_itself(storage.engine) as connection:
        connection.execute(sa.text("SELECT * FROM there_is_no_such_table"))
    write(storage.engine)
    assert number_of_rows(storage.engine) == 1


@pytest.fixture
def served(postgresql_stores: object) -> sa.Engine:
    """Of a PostgreSQL store."""
    engine: sa.Engine = postgresql_stores.prepared().engine  # type: ignore[attr-defined]
    return engine


def test_one_connection_is_held_by_each_thread(served: sa.Engine) -> None:
    own = session_of(served)
    others: list[int] = []
    thread = Thread(target=lambda: others.append(session_of(served)))
    thread.start()
    thread.join()
    assert session_of(served) == own
    assert own not in others


def test_one_that_died_unseen_is_replaced_when_the_statement_is_given_again(served: sa.Engine) -> None:
    died = session_of(served)
    with served.connect() as connection:
        connection.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": died})
    persistently(lambda: write(served))
    assert session_of(served) != died
    assert number_of_rows(served) == 1


def test_it_is_closed_with_the_engine(served: sa.Engine) -> None:
    held = session_of(served)
    served.dispose()
    alive = sa.text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
    deadline = time.monotonic() + 10
    with served.connect() as connection:
        while (found := connection.execute(alive, {"pid": held}).scalar_one()) and time.monotonic() < deadline:
            connection.rollback()  # what is seen of others stays as it is within a transaction
    assert found == 0


def test_a_lock_is_not_waited_for_without_end(served: sa.Engine) -> None:
    shown = sa.text("SHOW lock_timeout")
    with by_itself(served) as held, served.connect() as pooled:
        found = {connection.execute(shown).scalar_one() for connection in (held, pooled)}
    assert found == {f"{LOCK_TIMEOUT_SECONDS // 60}min"}
