"""Our tables are created with a version, and older ones are migrated whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from storage.database import check_url
from storage.errors import StorageError
from storage.tables import SCHEMA_VERSION, create_tables, epochs, metadata
from storage.tables import schema as schema_table
from tests.storage.conftest import OpenStore
from tests.storage.helpers import rows_of

ROW = {
    "study": "s",
    "number": 0,
    "epoch": 1,
    "fold": "search",
    "horizons": [1, 5],
    "value": 0.5,
    "best_so_far": 0.5,
    "seconds": 1.0,
    "result": {
        "epoch": 1,
        "metrics": {"valid/rank_ic/1": 0.1, "valid/rank_ic/5": 0.2, "valid/ic/5": 0.3},
        "daily_rank_ic": {"2020-01-02": [0.25, None]},
    },
}


@pytest.fixture
def engine(empty_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(check_url(empty_url))
    yield engine
    engine.dispose()


def version_of(engine: sa.Engine) -> int:
    (row,) = rows_of(engine, schema_table)
    return row["version"]


def columns_of(engine: sa.Engine, table: sa.Table) -> set[str]:
    return {column["name"] for column in sa.inspect(engine).get_columns(table.name)}


def do_nothing(connection: sa.Connection) -> None:
    """A step of the migration."""


def add_node(connection: sa.Connection) -> None:
    """A step of the migration."""
    connection.execute(sa.text("ALTER TABLE sweep_epochs ADD COLUMN node TEXT"))


def fail(connection: sa.Connection) -> None:
    """A step of the migration."""
    raise RuntimeError("this step is broken")


def add_node_and_fail(connection: sa.Connection) -> None:
    """A step of the migration."""
    add_node(connection)
    fail(connection)


def test_a_new_store_gets_every_table_and_the_current_version(engine: sa.Engine) -> None:
    create_tables(engine)
    assert set(metadata.tables) <= set(sa.inspect(engine).get_table_names())
    assert version_of(engine) == SCHEMA_VERSION


def test_creating_twice_keeps_what_is_there(engine: sa.Engine) -> None:
    create_tables(engine)
    with engine.begin() as connection:
        connection.execute(epochs.insert().values(ROW))
    create_tables(engine)
    assert rows_of(engine, epochs) == [ROW]
    assert version_of(engine) == SCHEMA_VERSION


def test_a_new_store_runs_no_migration(engine: sa.Engine) -> None:
    create_tables(engine, {1: fail, 2: fail}, target=3)
    assert version_of(engine) == 3


def test_steps_run_in_order_and_once(engine: sa.Engine) -> None:
    ran: list[int] = []
    steps = {version: (lambda _, version=version: ran.append(version)) for version in (3, 1, 2)}
    create_tables(engine, {}, target=1)
    create_tables(engine, steps, target=3)
    create_tables(engine, steps, target=4)
    create_tables(engine, steps, target=4)
    assert ran == [1, 2, 3]
    assert version_of(engine) == 4


def test_a_migration_keeps_the_rows(engine: sa.Engine) -> None:
    create_tables(engine, {}, target=1)
    with engine.begin() as connection:
        connection.execute(epochs.insert().values(ROW))
    create_tables(engine, {1: add_node}, target=2)
    assert rows_of(engine, epochs) == [ROW]
    assert "node" in columns_of(engine, epochs)


def test_tables_of_a_newer_program_are_refused_and_left_alone(engine: sa.Engine) -> None:
    create_tables(engine, {}, target=7)
    with pytest.raises(StorageError, match=r"version 6 or older.*of 7.*newer program"):
        create_tables(engine, {}, target=6)
    assert version_of(engine) == 7


def test_opening_a_newer_store_is_refused(empty_url: str, open_store: OpenStore, engine: sa.Engine) -> None:
    create_tables(engine, {}, target=SCHEMA_VERSION + 1)
    with pytest.raises(StorageError, match="newer program"):
        open_store(empty_url)


def test_a_missing_step_is_refused_and_the_version_stays(engine: sa.Engine) -> None:
    create_tables(engine, {}, target=1)
    with pytest.raises(StorageError, match="no migration leads from version 2"):
        create_tables(engine, {1: do_nothing}, target=3)
    assert version_of(engine) == 1


def test_a_failing_step_leaves_the_version(engine: sa.Engine) -> None:
    create_tables(engine, {}, target=1)
    with pytest.raises(RuntimeError, match="broken"):
        create_tables(engine, {1: do_nothing, 2: fail}, target=3)
    assert version_of(engine) == 1


def test_a_failing_step_leaves_the_tables_as_they_were(engine: sa.Engine) -> None:
    create_tables(engine, {}, target=1)
    with pytest.raises(RuntimeError, match="broken"):
        create_tables(engine, {1: add_node_and_fail}, target=2)
    assert "node" not in columns_of(engine, epochs)


def test_a_failing_step_undoes_the_steps_before_it(engine: sa.Engine) -> None:
    create_tables(engine, {}, target=1)
    with pytest.raises(RuntimeError, match="broken"):
        create_tables(engine, {1: add_node, 2: fail}, target=3)
    assert "node" not in columns_of(engine, epochs)
    create_tables(engine, {1: add_node, 2: do_nothing}, target=3)
    assert version_of(engine) == 3


def test_views_show_metrics_and_days_by_fold_and_horizon(engine: sa.Engine) -> None:
    create_tables(engine)
    with engine.begin() as connection:
        connection.execute(epochs.insert().values(ROW))
        metrics = connection.exec_driver_sql("SELECT fold, metric, horizon, value FROM sweep_metrics").all()
        days = connection.exec_driver_sql("SELECT fold, day, horizon, rank_ic FROM sweep_daily_rank_ic").all()
    assert sorted(map(tuple, metrics)) == [
        ("search", "valid/ic", 5, 0.3),
        ("search", "valid/rank_ic", 1, 0.1),
        ("search", "valid/rank_ic", 5, 0.2),
    ]
    assert sorted(map(tuple, days)) == [("search", "2020-01-02", 1, 0.25), ("search", "2020-01-02", 5, None)]


def test_the_second_versions_epochs_get_their_horizons(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE sweep_schema (version INTEGER PRIMARY KEY)")
        connection.exec_driver_sql("INSERT INTO sweep_schema VALUES (2)")
        connection.exec_driver_sql(
            "CREATE TABLE sweep_epochs (study VARCHAR(200), number INTEGER, epoch INTEGER, value FLOAT, best_so_far "
            "FLOAT, seconds FLOAT, result JSON, PRIMARY KEY (study, number, epoch))"
        )
        old = {name: value for name, value in ROW.items() if name not in ("fold", "horizons")}
        columns = [sa.column(name, epochs.c[name].type) for name in old]
        connection.execute(sa.table("sweep_epochs", *columns).insert().values(**old))
    create_tables(engine)
    assert rows_of(engine, epochs) == [ROW | {"fold": None}]
    assert version_of(engine) == SCHEMA_VERSION
