"""Our own tables, beside Optuna's in the same database: epochs, events, leases, provenances. Versioned."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sqlalchemy as sa

from storage.errors import StorageError

SCHEMA_VERSION = 2
metadata = sa.MetaData()

schema = sa.Table("sweep_schema", metadata, sa.Column("version", sa.Integer, primary_key=True))

epochs = sa.Table(
    "sweep_epochs",
    metadata,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("best_so_far", sa.Float, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("result", sa.JSON, nullable=False),  # the whole EpochResult, daily RankIC included
)

events = sa.Table(
    "sweep_events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("study", sa.String(200), nullable=False, index=True),
    sa.Column("number", sa.Integer, nullable=True),
    sa.Column("time", sa.DateTime(timezone=True), server_default=sa.func.now()),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
)

leases = sa.Table(
    "sweep_leases",
    metadata,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("host", sa.String(200), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("started", sa.Float, nullable=False),  # the owner process's start, so that a recycled pid is no owner
    sa.Column("taken", sa.Float, nullable=False),  # seconds since the epoch, as the next
    sa.Column("expires", sa.Float, nullable=False),
)

provenances = sa.Table(
    "sweep_provenances",
    metadata,
    sa.Column("key", sa.String(40), primary_key=True),
    sa.Column("content", sa.JSON, nullable=False),  # code, git state, packages, hardware
)

Step = Callable[[sa.Connection], None]


def _only_new_tables(connection: sa.Connection) -> None:
    """Nothing but tables that were not there, which `create_all` has made."""


STEPS: dict[int, Step] = {1: _only_new_tables}  # version it starts from -> what makes the tables one higher


def create_tables(engine: sa.Engine, steps: Mapping[int, Step] | None = None, target: int = SCHEMA_VERSION) -> None:
    """Creates the tables, or migrates those of an older version within one transaction.

    Raises:
        StorageError: the tables are newer than this program, or a step is missing.
    """
    steps = STEPS if steps is None else steps
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":  # its driver begins no transaction before DDL
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        is_new = not sa.inspect(connection).has_table(schema.name)
        metadata.create_all(connection)
        if is_new:
            connection.execute(schema.insert().values(version=target))
            return
        version = _checked_version(connection, target)
        for step in range(version, target):
            if step not in steps:
                raise StorageError(f"no migration leads from version {step} of the store's tables.")
            steps[step](connection)
            connection.execute(schema.update().values(version=step + 1))


def check_version(engine: sa.Engine) -> None:
    """Refuses, for a reader, a store that a newer program made."""
    with engine.connect() as connection:
        _checked_version(connection, SCHEMA_VERSION)


def _checked_version(connection: sa.Connection, target: int) -> int:
    version = int(connection.execute(sa.select(schema.c.version)).scalar_one())
    if version > target:
        raise StorageError(
            f"the store must be of version {target} or older, but is of {version}, made by a newer program. "
            f"Update this one, or use another store."
        )
    return version


def has_tables(engine: sa.Engine) -> bool:
    """Whether both Optuna's tables and ours are there: ours are made last."""
    return sa.inspect(engine).has_table(schema.name)
