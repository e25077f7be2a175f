"""Opening a store: SQLite in WAL mode, or PostgreSQL through psycopg 3. An error is never answered in memory."""

from __future__ import annotations

import re
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import optuna
import psutil
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage

from storage.errors import NoStoreError, StorageError, StoreAwayError
from storage.tables import check_version, create_tables, has_tables

BUSY_TIMEOUT_SECONDS = 60
CONNECT_TIMEOUT_SECONDS = 5
LOCK_TIMEOUT_SECONDS = 60  # that a statement on PostgreSQL waits for a row, or for its turn
BACK_OFF_SECONDS = (0.2, 1.0, 5.0)
START_UP_SECONDS = 60.0  # that a server which recovers after a crash is waited for
STARTING = ("starting up", "in recovery mode", "not yet accepting connections", "shutting down")
NETWORK_FILE_SYSTEMS = (
    *("nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "9p", "davfs", "fuse.davfs"),
    *("ceph", "fuse.ceph", "sshfs", "fuse.sshfs", "glusterfs", "fuse.glusterfs", "lustre", "gpfs", "beegfs"),
    *("ocfs2", "gfs2", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone"),
)
PASSING = (sa.exc.OperationalError, StorageInternalError)  # busy or away
# While a store is opened, also: tables that another process made between our look and our CREATE TABLE.
OPENING = (*PASSING, sa.exc.ProgrammingError, sa.exc.IntegrityError, sqlite3.OperationalError)
Result = TypeVar("Result")
Address = str | sa.URL  # of a store; a URL object never shows its password


def check_url(url: Address) -> sa.URL:
    """Parses and normalises a store's URL; `postgresql://` gets psycopg 3.

    Args:
        url: text, which may not carry a password; or a URL that somebody put together from a safe place, which may.

    Raises:
        StorageError: not a URL, not a kind we keep, one that carries a password, or one that lives in memory.
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise StorageError(
            f"a store must be a database URL such as sqlite:///runs/sweeps.db, got {_without_password(str(url))!r}."
        ) from error
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise StorageError(
            f"a store must be sqlite or postgresql, got {backend!r}. Give sqlite:///FILE.db or postgresql://USER@HOST/DB."
        )
    if isinstance(url, str) and (parsed.password or any("password" in name.lower() for name in parsed.query)):
        raise StorageError(
            "a store's URL must not carry a password: it would show in process lists. Put it in ~/.pgpass "
            "(PGPASSFILE) and leave it out of the URL, or keep the whole URL in a variable and give env:NAME."
        )
    if backend == "postgresql":
        return _with_password_in_its_place(parsed.set(drivername="postgresql+psycopg"))
    if not parsed.database or ":memory:" in parsed.database or parsed.query.get("mode") == "memory":
        raise StorageError("a store must outlive the process, but this SQLite URL names no file.")
    return parsed


def _with_password_in_its_place(parsed: sa.URL) -> sa.URL:
    """One that was given as `?password=..` goes where it is never shown.

    Raises:
        StorageError: it carries a password of another kind.
    """
    query = dict(parsed.query)
    if parsed.password == "":  # or it would be shown as one
        parsed = parsed._replace(password=None)
    if "password" in query:
        parsed = parsed.set(password=str(query.pop("password")), query=query)
    if others := [name for name in query if "password" in name.lower()]:
        raise StorageError(f"a store's URL must carry no password but its user's, and it has {others}. Use a file.")
    return parsed


def shown_url(url: Address) -> str:
    """As it may be shown: without a password."""
    return check_url(url).render_as_string(hide_password=True)


def _without_password(url: str) -> str:
    return re.sub(r"(password=)[^&]*", r"\1***", re.sub(r"^([^:]*:/*[^:@]*):.*@", r"\1:***@", url))


def check_reachable(url: Address) -> None:
    """Proves that the store can be opened, without creating anything.

    Raises:
        StorageError: no such folder or server, or no permission.
    """
    parsed = check_url(url)
    if parsed.get_backend_name() == "sqlite":
        _check_sqlite_file(Path(str(parsed.database)))
        refuse_network_disk(Path(str(parsed.database)))
        return
    deadline = time.monotonic() + START_UP_SECONDS
    while (reason := _server_refuses(parsed)) is not None:
        if not any(sign in reason for sign in STARTING) or time.monotonic() > deadline:
            raise StorageError(
                f"the store must be reachable, but {parsed.render_as_string(hide_password=True)} is not: {reason}"
            )
        time.sleep(1.0)


def _server_refuses(parsed: sa.URL) -> str | None:
    """What a server answers to a first question, where it is no answer."""
    engine = sa.create_engine(parsed, connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS})
    try:
        return _refusal(engine)
    finally:
        engine.dispose()


def append_row(engine: sa.Engine, table: sa.Table, row: Mapping[str, Any]) -> None:
    """One row, in a transaction of its own, with patience."""

    def insert() -> None:
        with engine.begin() as connection:
            connection.execute(table.insert().values(**row))

    persistently(insert)


def is_there(engine: sa.Engine) -> bool:
    """Whether an open store takes a read now; asked once, without patience."""
    return _refusal(engine) is None


def _refusal(engine: sa.Engine) -> str | None:
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    except sa.exc.SQLAlchemyError as error:
        return str(getattr(error, "orig", error)).strip().splitlines()[0]
    return None


def open_storage(url: Address) -> RDBStorage:
    """Opens, creating where needed, the store with Optuna's tables and ours.

    Raises:
        StorageError: it cannot be opened.
    """
    parsed = check_url(url)
    check_reachable(url)
    try:
        return persistently(lambda: _create(parsed), OPENING)
    except OSError as error:
        raise StorageError(f"a store must be writable, but {parsed.database} is not: {error}") from error


def _create(parsed: sa.URL) -> RDBStorage:
    if parsed.get_backend_name() == "sqlite":
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
        _write_ahead(str(parsed.database))
    return _connect(parsed, create=True)


def open_existing(url: Address) -> RDBStorage:
    """Opens a store that must be there: a reader creates none.

    Raises:
        NoStoreError: there is none yet.
        StorageError: it cannot be opened.
    """
    parsed = check_url(url)
    check_reachable(url)
    shown = parsed.render_as_string(hide_password=True)
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).exists():
        raise NoStoreError(f"the store must exist, but there is no {shown}. Run a sweep, or name --storage.")
    looking = sa.create_engine(parsed)
    try:
        is_made = has_tables(looking)
    finally:
        looking.dispose()
    if not is_made:
        raise NoStoreError(f"a store must hold a sweep's tables, but {shown} does not (yet).")
    storage = _connect(parsed, create=False)
    check_version(storage.engine)
    return storage


def _connect(parsed: sa.URL, create: bool) -> RDBStorage:
    """Optuna's storage on our connection settings, with our tables where they are to be made."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = RDBStorage(
        parsed.render_as_string(hide_password=False),
        engine_kwargs={"connect_args": _connect_args(parsed), "pool_pre_ping": True},
        skip_table_creation=not create,
        skip_compatibility_check=not create,
    )
    sa.event.listen(storage.engine, "connect", _SETTINGS[parsed.get_backend_name()])
    storage.engine.dispose()  # the connection that Optuna opened before we listened
    if create:
        create_tables(storage.engine)
    return storage


def connecting(parsed: sa.URL, **kwargs: Any) -> sa.Engine:
    """One more engine for an open store, with the same settings."""
    engine = sa.create_engine(parsed, connect_args=_connect_args(parsed), **kwargs)
    sa.event.listen(engine, "connect", _SETTINGS[parsed.get_backend_name()])
    return engine


def _connect_args(parsed: sa.URL) -> dict[str, int]:
    if parsed.get_backend_name() == "sqlite":
        return {"timeout": BUSY_TIMEOUT_SECONDS}
    return {"connect_timeout": CONNECT_TIMEOUT_SECONDS}


def persistently(action: Callable[[], Result], passing: tuple[type[Exception], ...] = PASSING) -> Result:
    """Runs an action on the store, again with back-off where its error may pass.

    Raises:
        StoreAwayError: it did not.
    """
    for pause in BACK_OFF_SECONDS:
        try:
            return action()
        except passing:
            time.sleep(pause)
    with away_in_words(passing):
        return action()


@contextmanager
def away_in_words(passing: tuple[type[Exception], ...] = PASSING) -> Iterator[None]:
    """What a database that is away says, in words for the person at the terminal.

    Raises:
        StoreAwayError: in the place of the driver's error.
    """
    try:
        yield
    except passing as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
        reason = str(getattr(cause, "orig", cause)).strip().partition("\n")[0]
        raise StoreAwayError(
            f"the store must take reads and writes, but it does not: {reason}. Look at the room on its disk, or at its "
            f"server, then give the same command again: it goes on from what was kept."
        ) from error


def _check_sqlite_file(path: Path) -> None:
    if path.is_dir():
        raise StorageError(f"a SQLite store must be a file, but {path} is a folder.")
    nearest = path.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    if nearest.is_file() and nearest != path.absolute():
        raise StorageError(f"a store's folder must be a folder, but {nearest} is a file.")
    try:
        if path.exists():
            _check_tables(path)
        else:
            tempfile.TemporaryFile(dir=nearest).close()
    except sqlite3.OperationalError as error:
        raise StorageError(
            f"a SQLite store must be readable and writable, but {path} is not: {error}. Look at the room on its disk "
            f"and at its permissions."
        ) from error
    except sqlite3.DatabaseError as error:
        raise StorageError(f"a SQLite store must be a database, but {path} is not: {error}") from error
    except OSError as error:
        raise StorageError(f"a SQLite store must be writable, but nothing can be made in {nearest}: {error}") from error


def refuse_network_disk(path: Path, mounts: Sequence[tuple[str, str]] | None = None) -> None:
    """SQLite in WAL mode shares memory between processes, and its locks are not kept over a network.

    Args:
        path: of the database, there or not.
        mounts: mount point and file system of every disk; None: this machine's.

    Raises:
        StorageError: the path lies on a network file system.
    """
    if mounts is None:
        mounts = [(disk.mountpoint, disk.fstype) for disk in psutil.disk_partitions(all=True)]
    place = path.absolute().resolve()
    holding = [(point, kind) for point, kind in mounts if place.is_relative_to(point)]
    if not holding:
        return
    point, kind = max(holding, key=lambda mount: len(mount[0]))
    if kind.lower() in NETWORK_FILE_SYSTEMS:
        raise StorageError(
            f"a SQLite store must lie on a disk of this machine, but {path} is on {kind} ({point}), where its locks do "
            f"not hold and studies get damaged. Name a local file, or --storage postgresql://USER@HOST/DB."
        )


def _check_tables(path: Path) -> None:
    """Refuses a database of somebody else's: ours is empty, or has Optuna's studies in it."""
    with closing(sqlite3.connect(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        columns = {row[1] for row in connection.execute("PRAGMA table_info(studies)")}
    if tables and "study_name" not in columns and "sweep_schema" not in tables:
        raise StorageError(
            f"a store must be a new file or hold Optuna's studies, but {path} holds other tables: "
            f"{', '.join(sorted(tables)[:5])}. Name another file."
        )


def _write_ahead(path: str) -> None:
    """WAL lets readers (optuna-dashboard, reports) look on while the sweep writes; it stays set in the file."""
    with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _relax_sync(connection: sqlite3.Connection, _: object) -> None:
    """With WAL, NORMAL loses nothing when the process dies, and costs no disk flush per write."""
    connection.execute("PRAGMA synchronous=NORMAL")


def _limit_waiting(connection: Any, _: object) -> None:
    """A driver that hangs while it holds a lock does not hang the others for ever."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'")
    connection.commit()


_SETTINGS: dict[str, Callable[[Any, object], None]] = {"sqlite": _relax_sync, "postgresql": _limit_waiting}
