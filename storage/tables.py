"""Our own tables, beside Optuna's in the same database. Versioned.

What is asked of single metrics, days and costs is answered by the views of `storage/views.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from storage.errors import StorageError
from storage.views import create_views

SCHEMA_VERSION = 5
RANK_IC = "valid/rank_ic/"  # begins the keys of the metric by horizon
metadata = sa.MetaData()

schema = sa.Table("sweep_schema", metadata, sa.Column("version", sa.Integer, primary_key=True))

epochs = sa.Table(
    "sweep_epochs",
    metadata,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    sa.Column("fold", sa.String(40), nullable=True),
    sa.Column("horizons", sa.JSON, nullable=True),  # trading days, in the order of the daily RankIC's values
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

attempts = sa.Table(
    "sweep_attempts",
    metadata,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),  # from 0
    sa.Column("ending", sa.String(40), nullable=False),  # complete, asha, crash, oom, lost_node, driver_died, ..
    sa.Column("node", sa.String(200), nullable=True),
    sa.Column("device", sa.String(40), nullable=True),
    sa.Column("epochs", sa.Integer, nullable=False),  # that this attempt trained
    sa.Column("wall_seconds", sa.Float, nullable=False),  # from the order to the end, waiting for a worker included
    sa.Column("train_seconds", sa.Float, nullable=False),  # of its epochs
    sa.Column("gpu_seconds", sa.Float, nullable=False),  # train_seconds x GPUs per trial
    sa.Column("peak_memory_mib", sa.Float, nullable=True),
)


def _lease_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("host", sa.String(200), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started", sa.Float, nullable=False),  # the owner process's start: a recycled pid is no owner
        sa.Column("taken", sa.Float, nullable=False),  # seconds since the epoch, as the next
        sa.Column("expires", sa.Float, nullable=False),
    ]


leases = sa.Table(
    "sweep_leases",
    metadata,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("owner", sa.String(200), nullable=False),
    *_lease_columns(),
)

joined = sa.Table(  # drivers beside the one that holds the lease
    "sweep_joined",
    metadata,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("owner", sa.String(200), primary_key=True),
    *_lease_columns(),
)

markets = sa.Table(
    "sweep_markets",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("sketch", sa.JSON, nullable=False),  # by which panels of one market are known, however much they overlap
)

ledger = sa.Table(  # every trial that was ever scored on a market; what is deleted stays here
    "sweep_ledger",
    metadata,
    sa.Column("study_key", sa.String(40), primary_key=True),  # of the study, not of its name, which may be used again
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("market", sa.Integer, sa.ForeignKey("sweep_markets.id"), nullable=False, index=True),
    sa.Column("study", sa.String(200), nullable=False),
    sa.Column("fold", sa.String(40), nullable=True),
    sa.Column("config_hash", sa.String(40), nullable=True),
    sa.Column("value", sa.Float, nullable=True),  # the last one seen, also of a trial that was pruned or failed
    sa.Column("time", sa.DateTime(timezone=True), server_default=sa.func.now()),
)

holdout_reads = sa.Table(
    "sweep_holdout_reads",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("market", sa.Integer, sa.ForeignKey("sweep_markets.id"), nullable=False, index=True),
    sa.Column("reader", sa.String(200), nullable=False),  # USER@HOST
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("time", sa.DateTime(timezone=True), server_default=sa.func.now()),
)

references = sa.Table(  # simple predictors on a study's folds
    "sweep_references",
    metadata,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("fold", sa.String(40), primary_key=True),
    sa.Column("key", sa.String(40), nullable=False),  # of what it was fitted on
    sa.Column("result", sa.JSON, nullable=False),
)

registry = sa.Table(  # what became of exported bundles; nothing is ever altered, the champion follows from all of it
    "sweep_registry",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("sweep", sa.String(200), nullable=False, index=True),
    sa.Column("action", sa.String(20), nullable=False),  # storage/registry.py has them
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("weights", sa.String(60), nullable=False),  # set of the bundle
    sa.Column("folder", sa.Text, nullable=False),
    sa.Column("known_through", sa.String(10), nullable=False),  # ISO, the last day that it could know
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("who", sa.String(200), nullable=False),  # USER@HOST
    sa.Column("time", sa.DateTime(timezone=True), server_default=sa.func.now()),
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


def _add_fold_and_horizons(connection: sa.Connection) -> None:
    """Version 3: a row of an epoch names its fold and horizons; of older ones the fold is not known."""
    connection.execute(sa.text("ALTER TABLE sweep_epochs ADD COLUMN fold VARCHAR(40)"))
    connection.execute(sa.text("ALTER TABLE sweep_epochs ADD COLUMN horizons JSON"))
    own = (epochs.c.study, epochs.c.number, epochs.c.epoch)
    for study, number, epoch, result in connection.execute(sa.select(*own, epochs.c.result)).all():
        horizons = [int(key.rpartition("/")[2]) for key in result.get("metrics", {}) if key.startswith(RANK_IC)]
        row = (own[0] == study) & (own[1] == number) & (own[2] == epoch)
        connection.execute(epochs.update().where(row).values(horizons=horizons))


# Version that it starts from -> what makes the tables one higher.
STEPS: dict[int, Step] = {1: _only_new_tables, 2: _add_fold_and_horizons, 3: _only_new_tables, 4: _only_new_tables}


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
            create_views(connection)
            return
        version = _checked_version(connection, target)
        for step in range(version, target):
            if step not in steps:
                raise StorageError(f"no migration leads from version {step} of the store's tables.")
            steps[step](connection)
            connection.execute(schema.update().values(version=step + 1))
        if version < target:
            create_views(connection)


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
