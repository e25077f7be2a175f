"""One connection that is held, on which each statement is a transaction by itself.

For what is asked and written all the time: to take a connection from the pool, to ask whether the server is there, to
begin and to commit cost more on PostgreSQL than most statements. SQLite, where they cost nothing, keeps its engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from storage.database import connecting


class _Line:
    """Made at its first use."""

    def __init__(self, url: sa.URL) -> None:
        self._url = url
        self._held: sa.Connection | None = None

    @contextmanager
    def connection(self) -> Iterator[sa.Connection]:
        """After an error the next statement gets a new connection, since this one may have died unseen."""
        if self._held is None:
            self._held = connecting(self._url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool).connect()
        try:
            yield self._held
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Harmless where nothing is held."""
        held, self._held = self._held, None
        if held is not None:
            held.close()


_LINES: WeakKeyDictionary[sa.Engine, dict[int, _Line]] = WeakKeyDictionary()  # of each thread


@contextmanager
def by_itself(engine: sa.Engine) -> Iterator[sa.Connection]:
    """For one statement, which is its own transaction. Each thread has its connection; they are closed with the
    engine."""
    if engine.dialect.name != "postgresql":
        with engine.begin() as connection:
            yield connection
        return
    if engine not in _LINES:
        _LINES[engine] = {}
        sa.event.listen(engine, "engine_disposed", _close_lines)
    with _LINES[engine].setdefault(get_ident(), _Line(engine.url)).connection() as connection:
        yield connection


def _close_lines(engine: sa.Engine) -> None:
    for line in _LINES[engine].values():
        line.close()
