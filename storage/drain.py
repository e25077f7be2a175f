"""A wish to end a study's run, left in the store by anybody who reaches it and seen by the driver."""

from __future__ import annotations

import getpass
import os
import socket
import time

import sqlalchemy as sa

from storage.database import append_row, persistently
from storage.tables import events

STOP_REQUESTED = "stop_requested"
LOOK_SECONDS = 2.0


def ask_to_stop(engine: sa.Engine, study: str) -> str:
    """Leaves the wish, and returns in whose name."""
    name = whoami()
    append_row(engine, events, {"study": study, "kind": STOP_REQUESTED, "message": f"asked to stop by {name}"})
    return name


class Drain:
    """Looks, now and then, for wishes that are younger than itself."""

    def __init__(self, engine: sa.Engine, study: str) -> None:
        self._engine, self._study = engine, study
        newest = self._newest()
        self._known, self._looked = (0 if newest is None else newest.id), time.monotonic()

    def asked(self) -> str | None:
        """'asked to stop by USER@HOST', or None."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return None
        self._looked = time.monotonic()
        newest = persistently(self._newest)
        return newest.message if newest is not None and newest.id > self._known else None

    def _newest(self) -> sa.Row | None:
        wanted = sa.select(events.c.id, events.c.message).where(
            events.c.study == self._study, events.c.kind == STOP_REQUESTED
        )
        with self._engine.connect() as connection:
            return connection.execute(wanted.order_by(events.c.id.desc()).limit(1)).first()


def whoami() -> str:
    """USER@HOST."""
    return f"{_user()}@{socket.gethostname()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        return f"uid {os.getuid()}"
