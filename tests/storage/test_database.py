"""Opening a store: what is accepted, what is refused and how, and that nothing is ever answered in memory."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError

from storage import database
from storage.database import (
    BUSY_TIMEOUT_SECONDS,
    check_reachable,
    check_url,
    open_existing,
    open_storage,
    persistently,
    refuse_network_disk,
    shown_url,
)
from storage.errors import StorageError, StoreAwayError
from storage.record import read_records
from storage.tables import SCHEMA_VERSION, metadata
from storage.tables import schema as schema_table
from tests.storage.conftest import OpenStore, PostgreSQLStores, SQLiteStores
from tests.storage.helpers import at_once, epoch_result, open_study, report

SECRET = "hunter2"


def assert_untouched(url: str) -> None:
    """There is no file, and no table in a database."""
    parsed = check_url(url)
    if parsed.get_backend_name() == "sqlite":
        assert not Path(str(parsed.database)).exists()
    else:
        assert sa.inspect(sa.create_engine(parsed, poolclass=sa.pool.NullPool)).get_table_names() == []


class TestOpening:
    def test_gives_optunas_tables_and_ours(self, empty_url: str, open_store: OpenStore) -> None:
        tables = set(sa.inspect(open_store(empty_url).engine).get_table_names())
        assert {"studies", "trials", *metadata.tables} <= tables

    def test_twice_is_the_same_store(self, empty_url: str, open_store: OpenStore) -> None:
        optuna.create_study(storage=open_store(empty_url), study_name="kept")
        assert [study.study_name for study in open_store(empty_url).get_all_studies()] == ["kept"]

    def test_by_several_drivers_at_the_same_moment(self, empty_url: str, open_store: OpenStore) -> None:
        opened = at_once(*[lambda: open_store(empty_url)] * 3)
        assert [error for error in opened if isinstance(error, Exception)] == []

    def test_creates_the_folder_of_a_file(self, tmp_path: Path, open_store: OpenStore) -> None:
        open_store(f"sqlite:///{tmp_path}/runs/deep/sweeps.db")
        assert (tmp_path / "runs/deep/sweeps.db").is_file()

    def test_refuses_what_cannot_be_opened(self, short_pauses: int) -> None:
        with pytest.raises(StorageError):  # a folder that takes no files, not even root's
            open_storage("sqlite:////proc/sweeps.db")

    def test_survives_connections_that_the_server_drops(
        self, postgresql_stores: PostgreSQLStores, open_store: OpenStore
    ) -> None:
        storage = postgresql_stores.prepared()
        study, other = open_study(storage), open_store(storage.url)
        trial = study.ask()
        with other.engine.begin() as connection:
            drop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            connection.execute(sa.text(f"{drop} AND pid <> pg_backend_pid()"))
        assert study.record_epoch(report(trial, 1, 0.1))


class TestOpeningWhatExists:
    def test_reads_what_a_sweep_wrote(self, url: str, open_store: OpenStore) -> None:
        trial = (study := open_study(open_store(url))).ask()
        study.record_epoch(report(trial, 1, 0.1))
        storage = open_existing(url)
        (record,) = read_records(storage, study.name)
        storage.engine.dispose()
        assert record.curve == (epoch_result(1, 0.1),)

    def test_refuses_a_store_without_tables_and_makes_none(self, empty_url: str) -> None:
        with pytest.raises(StorageError, match=r"store must (exist|hold a sweep's tables)"):
            open_existing(empty_url)
        assert_untouched(empty_url)

    def test_refuses_a_file_that_no_sweep_has_finished_making(self, tmp_path: Path) -> None:
        (tmp_path / "sweeps.db").touch()
        with pytest.raises(StorageError, match="hold a sweep's tables"):
            open_existing(f"sqlite:///{tmp_path}/sweeps.db")
        assert (tmp_path / "sweeps.db").read_bytes() == b""

    def test_refuses_tables_of_a_newer_program(self, url: str, open_store: OpenStore) -> None:
        with open_store(url).engine.begin() as connection:
            connection.execute(schema_table.update().values(version=SCHEMA_VERSION + 1))
        with pytest.raises(StorageError, match="newer program"):
            open_existing(url)


class TestSQLiteSettings:
    @pytest.fixture
    def read_setting(self, sqlite_stores: SQLiteStores, open_store: OpenStore) -> Callable[[str], str]:
        storage = open_store(sqlite_stores.prepared().url)

        def read(name: str) -> str:
            with storage.engine.connect() as connection:
                return str(connection.execute(sa.text(f"PRAGMA {name}")).scalar_one())

        return read

    def test_readers_look_on_while_the_sweep_writes(self, read_setting: Callable[[str], str]) -> None:
        assert read_setting("journal_mode") == "wal"

    def test_a_busy_store_is_waited_for(self, read_setting: Callable[[str], str]) -> None:
        assert read_setting("busy_timeout") == str(BUSY_TIMEOUT_SECONDS * 1000)

    def test_a_write_costs_no_disk_flush(self, read_setting: Callable[[str], str]) -> None:
        assert read_setting("synchronous") == "1"  # NORMAL


class TestUrl:
    def test_postgresql_goes_through_psycopg_3(self) -> None:
        assert check_url("postgresql://user@host/db").drivername == "postgresql+psycopg"

    def test_sqlite_stays_as_it_is(self) -> None:
        assert str(check_url("sqlite:///runs/sweeps.db")) == "sqlite:///runs/sweeps.db"

    @pytest.mark.parametrize("url", ["", "runs/sweeps.db", "sqlite:/runs.db", "postgresql://user@host:port/db"])
    def test_what_is_no_url_is_refused(self, url: str) -> None:
        with pytest.raises(StorageError, match="must be a database URL"):
            check_url(url)

    @pytest.mark.parametrize("url", ["mysql://host/db", "oracle://host/db", "redis://host", "postgres://host/db"])
    def test_other_kinds_are_refused_by_name(self, url: str) -> None:
        with pytest.raises(StorageError, match=rf"sqlite or postgresql, got '{url.partition(':')[0]}'"):
            check_url(url)

    @pytest.mark.parametrize(
        "url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///file:sweeps?mode=memory&uri=true"]
    )
    def test_a_store_in_memory_is_refused(self, url: str) -> None:
        with pytest.raises(StorageError, match="must outlive the process"):
            check_url(url)

    @pytest.mark.parametrize(
        "url",
        [
            f"postgresql://user:{SECRET}@host/db",
            f"postgresql+psycopg://user:{SECRET}@host:5432/db",
            f"postgresql://user@host/db?password={SECRET}",
            f"postgresql://user@host/db?sslpassword={SECRET}",
        ],
    )
    def test_a_password_is_refused_and_the_way_out_named(self, url: str) -> None:
        with pytest.raises(StorageError, match="pgpass"):
            check_url(url)

    @pytest.mark.parametrize(
        "url",
        [
            f"postgresql://user:{SECRET}@host/db",
            f"mysql://user:{SECRET}@host/db",
            f"postgresql:/user:{SECRET}@host/db",
            f"postgresql://user:{SECRET}@host:port/db",
            f"postgresql:/user:a/b:{SECRET}@host/db",
            f"postgres//user@host/db?password={SECRET}",
        ],
        ids=["password", "other kind", "no url", "no port", "signs in it", "in the query"],
    )
    def test_no_message_repeats_a_password(self, url: str) -> None:
        with pytest.raises(StorageError) as refusal:
            check_url(url)
        assert SECRET not in str(refusal.value)


class TestReachable:
    def test_a_store_passes_untouched(self, empty_url: str) -> None:
        check_reachable(empty_url)
        assert_untouched(empty_url)

    def test_an_existing_file_stays_byte_for_byte(self, sqlite_stores: SQLiteStores) -> None:
        url = sqlite_stores.prepared().url
        path = Path(str(check_url(url).database))
        before = path.read_bytes()
        check_reachable(url)
        assert path.read_bytes() == before

    def test_a_store_that_is_being_written_passes(self, sqlite_stores: SQLiteStores) -> None:
        url = sqlite_stores.prepared().url
        with closing(sqlite3.connect(str(check_url(url).database))) as writer:
            writer.execute("BEGIN IMMEDIATE")
            check_reachable(url)
            assert writer.in_transaction

    def test_no_folder_is_created(self, tmp_path: Path) -> None:
        check_reachable(f"sqlite:///{tmp_path}/runs/deep/sweeps.db")
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_is_no_store(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match=f"must be a file, but {re.escape(str(tmp_path))} is a folder"):
            check_reachable(f"sqlite:///{tmp_path}")

    def test_a_file_in_the_folders_place_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "runs").write_text("not a folder")
        with pytest.raises(StorageError, match=f"{re.escape(str(tmp_path / 'runs'))} is a file"):
            check_reachable(f"sqlite:///{tmp_path}/runs/deep/sweeps.db")

    def test_a_file_that_is_no_database_is_refused_and_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "sweeps.db"
        path.write_text("date,code,close\n" * 100)
        with pytest.raises(StorageError, match=f"must be a database, but {re.escape(str(path))} is not"):
            check_reachable(f"sqlite:///{path}")
        assert path.read_text() == "date,code,close\n" * 100
        assert list(tmp_path.iterdir()) == [path]

    def test_a_server_that_is_away_is_said_in_one_line_and_soon(self) -> None:
        start = time.monotonic()
        with pytest.raises(StorageError, match=r"must be reachable, but .*127\.0\.0\.1:1/db is not") as refusal:
            check_reachable("postgresql://user@127.0.0.1:1/db")
        assert len(str(refusal.value).splitlines()) == 1
        assert time.monotonic() - start < 10

    def test_a_database_that_does_not_exist_is_named(self, postgresql_stores: PostgreSQLStores) -> None:
        parsed = check_url(postgresql_stores.empty()).set(database="no_such_database")
        with pytest.raises(StorageError, match='"no_such_database" does not exist') as refusal:
            check_reachable(parsed.render_as_string(hide_password=False))
        assert len(str(refusal.value).splitlines()) == 1


class Write:
    """Fails the first `num_failures` times it is called."""

    def __init__(self, num_failures: int, error: Exception) -> None:
        self.num_failures, self.error, self.num_calls = num_failures, error, 0

    def __call__(self) -> str:
        self.num_calls += 1
        if self.num_calls <= self.num_failures:
            raise self.error
        return "written"


BUSY = sa.exc.OperationalError("INSERT INTO sweep_epochs", {}, Exception("database is locked"))


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> int:
    """The number of pauses, none of them noticeable."""
    monkeypatch.setattr(database, "BACK_OFF_SECONDS", (0.001, 0.001, 0.001))
    return len(database.BACK_OFF_SECONDS)


@pytest.mark.parametrize("error", [BUSY, StorageInternalError("away")], ids=["ours", "optuna's"])
class TestPersistently:
    def test_a_write_that_works_runs_once(self, short_pauses: int, error: Exception) -> None:
        write = Write(0, error)
        assert persistently(write) == "written"
        assert write.num_calls == 1

    def test_a_busy_store_is_tried_again(self, short_pauses: int, error: Exception) -> None:
        write = Write(short_pauses, error)
        assert persistently(write) == "written"
        assert write.num_calls == short_pauses + 1

    def test_a_lasting_failure_is_said(self, short_pauses: int, error: Exception) -> None:
        write = Write(short_pauses + 1, error)
        with pytest.raises(StoreAwayError, match=r"take reads and writes, but it does not: (database is lock|away)"):
            persistently(write)
        assert write.num_calls == short_pauses + 1


def test_a_mistake_of_ours_is_not_tried_again(short_pauses: int) -> None:
    write = Write(1, ValueError("a mistake"))
    with pytest.raises(ValueError, match="a mistake"):
        persistently(write)
    assert write.num_calls == 1


def test_pauses_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    persistently(Write(len(database.BACK_OFF_SECONDS), BUSY))
    assert pauses == sorted(set(pauses))


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "LUSTRE"])
def test_sqlite_on_a_network_disk_is_refused(kind: str) -> None:
    mounts = [("/", "ext4"), ("/shared", kind), ("/shared/scratch", "xfs")]
    with pytest.raises(StorageError, match=rf"is on {kind} \(/shared\), where its locks do not hold"):
        refuse_network_disk(Path("/shared/runs/sweeps.db"), mounts)
    refuse_network_disk(Path("/shared/scratch/sweeps.db"), mounts)
    refuse_network_disk(Path("/sharedness/sweeps.db"), mounts)


def test_a_password_in_the_query_goes_where_it_is_never_shown() -> None:
    url = check_url(sa.make_url("postgresql://user@host/db?password=geheim&application_name=a"))
    assert (url.password, dict(url.query)) == ("geheim", {"application_name": "a"})
    assert "geheim" not in shown_url(url)
    with pytest.raises(StorageError, match="sslpassword") as refusal:
        check_url(sa.make_url("postgresql://user@host/db?sslpassword=geheim"))
    assert "geheim" not in str(refusal.value)


def test_a_url_from_a_safe_place_may_carry_a_password_and_never_shows_it() -> None:
    url = sa.make_url("postgresql://user:geheim@127.0.0.1:1/db")
    assert check_url(url).password == "geheim"
    assert "geheim" not in shown_url(url) + repr(url) + str(url)
    with pytest.raises(StorageError) as refusal:
        check_reachable(url)
    assert "geheim" not in str(refusal.value)


def test_a_server_that_is_starting_up_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["FATAL:  the database system is starting up", "FATAL:  the database system is in recovery mode", None]
    monkeypatch.setattr(database, "_server_refuses", lambda url: answers.pop(0))
    monkeypatch.setattr(database.time, "sleep", lambda seconds: None)
    check_reachable("postgresql://user@host/db")
    assert answers == []


def test_a_server_that_stays_in_its_recovery_is_refused_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "START_UP_SECONDS", 0.0)
    monkeypatch.setattr(database, "_server_refuses", lambda url: "FATAL:  the database system is starting up")
    with pytest.raises(StorageError, match="is starting up"):
        check_reachable("postgresql://user@host/db")


def test_an_empty_password_is_none_and_is_not_shown_as_one() -> None:
    assert shown_url("postgresql://postgres:@/sweeps?host=/run/pg").startswith("postgresql+psycopg://postgres@/sweeps")
