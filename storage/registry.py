"""Which exported bundle works for a sweep: an append-only log, from which champion and challengers follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from optuna.storages import RDBStorage

from storage.database import append_row
from storage.drain import whoami
from storage.errors import StorageError
from storage.tables import create_tables, registry

Action = Literal["registered", "promoted", "rolled back", "compared"]


class Entry(NamedTuple):
    """One set of weights of one bundle."""

    sha256: str  # of the bundle's manifest
    weights: str
    folder: str
    known_through: str  # ISO, the last day that it could know

    @property
    def short(self) -> str:
        """By which people name it."""
        return self.sha256[:12]


class Event(NamedTuple):
    action: Action
    entry: Entry
    reason: str
    who: str
    time: Any


@dataclass(frozen=True)
class Registry:
    """Of one sweep."""

    sweep: str
    log: tuple[Event, ...]  # oldest first

    @property
    def reign(self) -> tuple[Entry, ...]:
        """Champions that a roll-back goes back through; the last one works now."""
        reign: list[Entry] = []
        for event in self.log:
            if event.action == "promoted":
                reign.append(event.entry)
            elif event.action == "rolled back":
                reign.pop()
        return tuple(reign)

    @property
    def champion(self) -> Entry | None:
        return self.reign[-1] if self.reign else None

    @property
    def challengers(self) -> tuple[Entry, ...]:
        """Registered, and never promoted; the newest last."""
        promoted = {_identity(event.entry) for event in self.log if event.action == "promoted"}
        return tuple(entry for entry in self._registered if _identity(entry) not in promoted)

    @property
    def _registered(self) -> tuple[Entry, ...]:
        """All but the champion: one that was rolled back may be promoted again, by its name."""
        return tuple(event.entry for event in self.log if event.action == "registered" and event.entry != self.champion)

    def challenger(self, sha256: str | None) -> Entry:
        """The newest, or the one whose name begins so.

        Raises:
            StorageError: there is none, or more than one.
        """
        known = self.challengers if sha256 is None else self._registered
        found = [entry for entry in known if sha256 is None or entry.sha256.startswith(sha256)]
        if not found or (sha256 is not None and len(found) > 1):
            raise StorageError(
                f"a challenger of {self.sweep} must be a registered bundle that is not its champion, "
                f"{self._offence(sha256)}. Make one with trial.retrain, or trial.registry add."
            )
        return found[-1]

    def _offence(self, sha256: str | None) -> str:
        names = ", ".join(entry.short for entry in self._registered)
        if not names:
            return "but there is none"
        if sha256 is None:
            return f"but all were promoted before; --challenger takes one of them again: {names}"
        return f"the only one whose SHA-256 begins with {sha256!r}, but there are: {names}"


def read_registry(storage: RDBStorage, sweep: str) -> Registry:
    """Empty where nothing was ever registered."""
    if not sa.inspect(storage.engine).has_table(registry.name):
        return Registry(sweep, ())
    query = sa.select(registry).where(registry.c.sweep == sweep).order_by(registry.c.id)
    with storage.engine.connect() as connection:
        rows = connection.execute(query).all()
    entries = [Entry(row.sha256, row.weights, row.folder, row.known_through) for row in rows]
    return Registry(
        sweep,
        tuple(
            Event(row.action, entry, row.reason, row.who, row.time) for row, entry in zip(rows, entries, strict=True)
        ),
    )


def note(storage: RDBStorage, sweep: str, action: Action, entry: Entry, reason: str) -> Registry:
    """Appends to the log.

    Raises:
        StorageError: registered twice; a roll-back with no champion before the present one.
    """
    create_tables(storage.engine)
    before = read_registry(storage, sweep)
    registered = {_identity(event.entry) for event in before.log if event.action == "registered"}
    if action == "registered" and _identity(entry) in registered:
        raise StorageError(f"a bundle is registered once, but {entry.short}, {entry.weights}, is in {sweep} already.")
    if action == "rolled back" and len(before.reign) < 2:
        raise StorageError(
            f"a roll-back goes to the champion before, but {sweep} has had "
            f"{'one champion only' if before.reign else 'none'}. Promote another one."
        )
    row = entry._asdict() | {"sweep": sweep, "action": action, "reason": reason, "who": whoami()}
    append_row(storage.engine, registry, row)
    return read_registry(storage, sweep)


def _identity(entry: Entry) -> tuple[str, str]:
    return entry.sha256, entry.weights
