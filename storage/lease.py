"""A lease on a study: one driver writes its trials; a second one is refused, or joins, while the first one lives."""

from __future__ import annotations

import os
import socket
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock

import sqlalchemy as sa
from sqlalchemy.engine import Row

from storage.database import PASSING, persistently
from storage.errors import LeaseLostError, StorageError
from storage.processes import process_start
from storage.tables import joined, leases

LIFETIME_SECONDS = 90.0
RENEW_SECONDS = 10.0


@dataclass(frozen=True)
class Holder:
    """Who runs a study."""

    pid: int
    host: str
    seconds: float  # for so long
    lives: bool


def holder_of(engine: sa.Engine, study: str) -> Holder | None:
    """The driver that holds the lease, alive or dead; None where it was given back."""
    row = _row_of(engine, study)
    return None if row is None else Holder(row.pid, row.host, time.time() - row.taken, _lives(row))


class Lease:
    """Held from construction to `release`; `renew` is called now and then in between."""

    def __init__(self, engine: sa.Engine, study: str) -> None:
        """Takes the lease, over a dead owner's where there is one.

        Raises:
            StorageError: a living driver holds it.
        """
        self.engine, self.study = engine, study
        self.owner = uuid.uuid4().hex
        self._renewed, self._renewing = time.time(), Lock()
        self._enter()

    def _enter(self) -> None:
        holder = _row_of(self.engine, self.study)
        if holder is not None and _lives(holder):
            raise _held(holder)
        if not self._take(holder):
            raise _held(_row_of(self.engine, self.study))

    def _take(self, dead: Row | None) -> bool:
        """Inserts the row, or replaces exactly the dead owner's; false where another driver was faster."""
        with self.engine.begin() as connection:
            if dead is not None:
                theirs = (
                    (leases.c.study == self.study) & (leases.c.owner == dead.owner) & (leases.c.expires == dead.expires)
                )
                return connection.execute(leases.update().where(theirs).values(**self._row())).rowcount == 1
            try:
                connection.execute(leases.insert().values(**self._row()))
            except sa.exc.IntegrityError:
                return False
            return True

    def _mine(self, table: sa.Table) -> sa.ColumnElement[bool]:
        return (table.c.study == self.study) & (table.c.owner == self.owner)

    def _row(self) -> dict[str, object]:
        now = time.time()
        return {
            "study": self.study,
            "owner": self.owner,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": process_start(os.getpid()) or 0.0,
            "taken": now,
            "expires": now + LIFETIME_SECONDS,
        }

    def renew(self) -> None:
        """Prolongs the lease, at most every `RENEW_SECONDS`.

        Raises:
            LeaseLostError: another driver, which took us for dead, has it.
            StoreAwayError: the store takes no write.
        """
        with self._renewing:
            now = time.time()
            if now - self._renewed >= RENEW_SECONDS:
                self._renew(now)
                self._renewed = now

    def _renew(self, now: float) -> None:
        if not persistently(lambda: self._prolong(leases, now)):
            raise LeaseLostError(f"the lease on study {self.study!r} was taken over by another driver; this one stops.")

    def _prolong(self, table: sa.Table, now: float) -> bool:
        longer = table.update().where(self._mine(table)).values(expires=now + LIFETIME_SECONDS)
        with self.engine.begin() as connection:
            return connection.execute(longer).rowcount == 1

    def release(self) -> None:
        """Gives the lease back; harmless when it is not ours any more, or when the store is away: it expires."""
        with suppress(*PASSING), self.engine.begin() as connection:
            for table in (leases, joined):
                connection.execute(table.delete().where(self._mine(table)))

    @property
    def is_first(self) -> bool:
        """Whether this driver may adopt what a dead one left."""
        return True

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Held while this driver counts and asks, so that drivers of one study do so one after the other."""
        if self.engine.dialect.name != "postgresql":  # there, nobody can join
            yield
            return
        key = {"key": zlib.crc32(f"ask {self.study}".encode())}
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), key)
            try:
                yield
            finally:
                with suppress(*PASSING):  # a lost session has lost its lock too
                    connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), key)


class JoinedLease(Lease):
    """Of a driver beside the one that holds the lease; takes the lease over once that one is dead."""

    _is_first = False

    def _enter(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(joined.insert().values(**self._row()))

    @property
    def is_first(self) -> bool:
        return self._is_first

    def _renew(self, now: float) -> None:
        """Before it leads, also looks whether the lease is free."""
        if self._is_first:
            super()._renew(now)
            return
        if not persistently(lambda: self._prolong(joined, now)):
            raise LeaseLostError(f"this driver's place beside study {self.study!r} is gone; it stops.")
        holder = persistently(lambda: _row_of(self.engine, self.study))
        if holder is None or not _lives(holder):
            self._is_first = persistently(lambda: self._take(holder))


def check_joinable(dialect: str) -> None:
    """
    Raises:
        StorageError: the store is SQLite, which several machines cannot share.
    """
    if dialect != "postgresql":
        raise StorageError(
            "a second driver may --join a study on PostgreSQL only, because several machines cannot share SQLite. "
            "Leave it out, or use --storage postgresql://.."
        )


def take_lease(engine: sa.Engine, study: str, join: bool = False) -> Lease:
    """The lease, over a dead owner's where there is one; or, where `join` says so, a place beside a living one's.

    Raises:
        StorageError: a living driver holds it and `join` does not say so, or cannot be.
    """
    if not join:
        return Lease(engine, study)
    check_joinable(engine.dialect.name)
    try:
        return Lease(engine, study)
    except StorageError:  # somebody living has it, perhaps since a moment ago
        return JoinedLease(engine, study)


def living_owners(engine: sa.Engine, study: str) -> set[str]:
    """Everybody who runs trials of the study now; what dead ones left of themselves is removed."""
    with engine.begin() as connection:
        first = list(connection.execute(sa.select(leases).where(leases.c.study == study)))
        beside = list(connection.execute(sa.select(joined).where(joined.c.study == study)))
        for row in beside:
            if not _lives(row):
                connection.execute(joined.delete().where((joined.c.study == study) & (joined.c.owner == row.owner)))
    return {row.owner for row in (*first, *beside) if _lives(row)}


def _row_of(engine: sa.Engine, study: str) -> Row | None:
    with engine.connect() as connection:
        return connection.execute(sa.select(leases).where(leases.c.study == study)).first()


def _held(holder: Row | None) -> StorageError:
    if holder is None:
        return StorageError("another driver took and released the study just now. Start again.")
    age = (time.time() - holder.taken) / 60
    return StorageError(
        f"one driver at a time may run a study, but process {holder.pid} on {holder.host} has been running "
        f"{holder.study!r} for {age:.0f} min. Wait for it, or stop it (python -m trial.stop). A sweep may also "
        f"use another --name, or --join it on PostgreSQL."
    )


def _lives(holder: Row) -> bool:
    """On this host the process itself is looked at; elsewhere the lease's expiry decides."""
    if holder.host == socket.gethostname():
        started = process_start(holder.pid)
        return started is not None and started == holder.started
    return bool(holder.expires > time.time())
