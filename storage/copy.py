"""Copying a study from one store to another: Optuna's part through Optuna, ours row by row, then compared."""

from __future__ import annotations

from typing import Any, NamedTuple

import optuna
import sqlalchemy as sa
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from storage.errors import StorageError
from storage.ledger import market_id
from storage.record import load_study, study_names
from storage.remove import remove_study
from storage.tables import attempts, epochs, events, ledger, markets, provenances, references

OWN = (epochs, attempts, events, references)
SURROGATE = "id"  # counted by each store for itself


class Copied(NamedTuple):
    """What arrived."""

    study: str
    trials: int
    epochs: int
    events: int


def copy_study(source: RDBStorage, target: RDBStorage, name: str) -> Copied:
    """Copies one study; the source stays as it is.

    Raises:
        StorageError: the target has a study of that name, or what arrived is not what was there; nothing of it stays.
    """
    if name in study_names(target):
        raise StorageError(
            f"TO must not hold a study {name!r} yet, but it does. Delete it there, or name the others by --name."
        )
    try:
        optuna.copy_study(from_study_name=name, from_storage=source, to_storage=target)
        with source.engine.connect() as reading, target.engine.begin() as writing:
            _copy_provenances(reading, writing)
            numbers = {table.name: _copy_rows(reading, writing, table, name) for table in OWN}
        _copy_ledger(source.engine, target.engine, name)
        _compare(source, target, name)
    except BaseException:
        if name in study_names(target):
            remove_study(target, name)
        raise
    trials = len(load_study(target, name).get_trials(deepcopy=False))
    return Copied(name, trials, numbers[epochs.name], numbers[events.name])


def _copy_rows(reading: sa.Connection, writing: sa.Connection, table: sa.Table, study: str) -> int:
    rows = _rows(reading, table, study)
    if rows:
        writing.execute(table.insert(), rows)
    return len(rows)


def _rows(connection: sa.Connection, table: sa.Table, study: str) -> list[dict[str, Any]]:
    """Of a study, in the order of its store, without numbers that only that store counts."""
    columns = [column for column in table.c if column.name != SURROGATE]
    query = sa.select(*columns).where(table.c.study == study).order_by(*table.primary_key.columns)
    return [dict(row) for row in connection.execute(query).mappings()]


def _copy_provenances(reading: sa.Connection, writing: sa.Connection) -> None:
    """Those that the target does not know; trials refer to them by key."""
    known = set(writing.execute(sa.select(provenances.c.key)).scalars())
    new = [dict(row) for row in reading.execute(sa.select(provenances)).mappings() if row["key"] not in known]
    if new:
        writing.execute(provenances.insert(), new)


def _copy_ledger(source: sa.Engine, target: sa.Engine, study: str) -> None:
    """What was scored counts in the target too, under its own number of the market; what it knows already, once."""
    with source.connect() as reading:
        rows = [dict(row) for row in reading.execute(sa.select(ledger).where(ledger.c.study == study)).mappings()]
        sketches = {row.id: row.sketch for row in reading.execute(sa.select(markets))}
    found = {old: market_id(target, sketches[old], sketches[old].__eq__) for old in {row["market"] for row in rows}}
    with target.begin() as writing:
        known = set(writing.execute(sa.select(ledger.c.study_key, ledger.c.number)).tuples())
        new = [row | {"market": found[row["market"]]} for row in rows]
        new = [row for row in new if (row["study_key"], row["number"]) not in known]
        if new:
            writing.execute(ledger.insert(), new)


def _compare(source: RDBStorage, target: RDBStorage, name: str) -> None:
    """Reads both and refuses any difference."""
    old, new = (load_study(storage, name) for storage in (source, target))
    pairs = zip(old.get_trials(deepcopy=False), new.get_trials(deepcopy=False), strict=True)
    differing = [a.number for a, b in pairs if _content(a) != _content(b)]
    with source.engine.connect() as one, target.engine.connect() as other:
        tables = [table.name for table in OWN if _comparable(one, table, name) != _comparable(other, table, name)]
    if differing or tables or old.user_attrs != new.user_attrs:
        what = ", ".join([*(f"trial {number}" for number in differing[:5]), *tables]) or "the study's attributes"
        raise StorageError(f"what arrived must be what was there, but it differs in {what}. Nothing was kept of it.")


def _content(trial: FrozenTrial) -> tuple[Any, ...]:
    return (
        trial.number,
        trial.state,
        trial.values,
        trial.params,
        trial.distributions,
        trial.user_attrs,
        trial.system_attrs,
        trial.intermediate_values,
    )


def _comparable(connection: sa.Connection, table: sa.Table, study: str) -> list[dict[str, Any]]:
    """Times are told by databases with or without their zone."""
    return [{key: value for key, value in row.items() if key != "time"} for row in _rows(connection, table, study)]
