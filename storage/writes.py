"""Statements on Optuna's own tables, so that what belongs together is written in one transaction.

Optuna commits every attribute and every step by itself, 2 to 3 ms each; and a step in our table without its copy in
Optuna's would be half a truth. The tables are those of the pinned version, read through its models; that Optuna reads
back what is written here, on both kinds of store, is tested.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy.dialects import postgresql, sqlite

from storage.tables import epochs

trials: sa.Table = models.TrialModel.__table__
values: sa.Table = models.TrialValueModel.__table__
steps: sa.Table = models.TrialIntermediateValueModel.__table__
params: sa.Table = models.TrialParamModel.__table__
attributes: sa.Table = models.TrialUserAttributeModel.__table__
system_attributes: sa.Table = models.TrialSystemAttributeModel.__table__
FINITE = {"value_type": "FINITE"}
KINDS: dict[str, Any] = {"postgresql": postgresql, "sqlite": sqlite}  # that know what to do about conflicts
GIVEN = "given_"  # begins the parameters of a statement that are a row's values
# Returned for each row that is written, so that several rows go in one statement.
ONE: sa.ColumnElement[int] = sa.literal_column("1")
TRIAL = sa.bindparam("trial_id", type_=sa.Integer)
CONSTRAINT = "constraints:"  # begins the key by which Optuna's samplers know a constraint


def insert_new(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> bool:
    """Inserts the row; false, and nothing changed, where its key is there already."""
    return connection.execute(_new_row(connection.dialect.name, table), dict(row)).first() is not None


def insert_missing(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts those rows whose key is not there yet."""
    if rows:
        connection.execute(_new_row(connection.dialect.name, table), [dict(row) for row in rows])


def put(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], key: tuple[str, ...], value: str
) -> None:
    """Inserts the rows; where a key is there already, its value is replaced."""
    if rows:
        connection.execute(_replacing(connection.dialect.name, table, key, value), [dict(row) for row in rows])


@cache
def _new_row(dialect: str, table: sa.Table) -> Any:
    return KINDS[dialect].insert(table).on_conflict_do_nothing().returning(ONE)


@cache
def _replacing(dialect: str, table: sa.Table, key: tuple[str, ...], value: str) -> Any:
    statement = KINDS[dialect].insert(table)
    return statement.on_conflict_do_update(index_elements=key, set_={value: statement.excluded[value]}).returning(ONE)


def is_finished(connection: sa.Connection, trial_id: int) -> bool:
    """Whether the trial was told; locks its row for this transaction where the database knows such locks."""
    state = connection.execute(sa.select(trials.c.state).where(trials.c.trial_id == trial_id).with_for_update())
    return TrialState[str(state.scalar_one().name)].is_finished()


def put_epoch(connection: sa.Connection, trial_id: int, row: Mapping[str, Any]) -> bool:
    """A row of our table of epochs and its copy as an intermediate value; false, and nothing changed, where it is there
    already or the trial was told. One statement where the database knows such, because each costs a round trip."""
    given = {"trial_id": trial_id} | {f"{GIVEN}{name}": value for name, value in row.items()}
    if connection.dialect.name == "postgresql":
        return bool(connection.execute(_epoch_and_step(), given).scalar_one())
    if connection.execute(_epoch("sqlite"), given).first() is None:
        return False
    put_step(connection, trial_id, row["epoch"], row["value"])
    return True


@cache  # to build a statement takes longer than to run it
def _epoch(dialect: str) -> Any:
    """The row, as parameters, where its trial is open and it is not there yet."""
    open_trial = (trials.c.trial_id == TRIAL) & trials.c.state.in_((TrialState.RUNNING, TrialState.WAITING))
    row = [sa.bindparam(f"{GIVEN}{column.name}", type_=column.type) for column in epochs.c]
    found = sa.select(*row).select_from(trials).where(open_trial).with_for_update()
    insert = KINDS[dialect].insert(epochs).from_select(epochs.c.keys(), found).on_conflict_do_nothing()
    return insert.returning(epochs.c.epoch, epochs.c.value)


@cache
def _epoch_and_step() -> sa.Select[int]:
    """Both in one statement of PostgreSQL; the number of rows that are new."""
    new = _epoch("postgresql").cte("new")
    step = (TRIAL, new.c.epoch, new.c.value, sa.literal("FINITE", steps.c.intermediate_value_type.type))
    names = ["trial_id", "step", "intermediate_value", "intermediate_value_type"]
    copied = postgresql.insert(steps).from_select(names, sa.select(*step)).on_conflict_do_nothing()
    return sa.select(sa.func.count()).select_from(new).add_cte(copied.returning(steps.c.step).cte("copied"))


def put_step(connection: sa.Connection, trial_id: int, epoch: int, value: float) -> None:
    """An intermediate value, which must be finite; one that is there stays."""
    row = {"trial_id": trial_id, "step": epoch, "intermediate_value": value, "intermediate_value_type": "FINITE"}
    insert_new(connection, steps, row)


def put_attributes(connection: sa.Connection, trial_id: int, content: Mapping[str, Any]) -> None:
    """User attributes; those that are there are replaced."""
    _put_json(connection, attributes, trial_id, content)


def put_constraints(connection: sa.Connection, trial_id: int, violations: Mapping[str, float]) -> None:
    """By how much each constraint is broken, where samplers look for it (`Trial.set_constraint`)."""
    _put_json(connection, system_attributes, trial_id, {f"{CONSTRAINT}{key}": v for key, v in violations.items()})


def _put_json(connection: sa.Connection, table: sa.Table, trial_id: int, content: Mapping[str, Any]) -> None:
    rows = [{"trial_id": trial_id, "key": key, "value_json": json.dumps(value)} for key, value in content.items()]
    put(connection, table, rows, ("trial_id", "key"), "value_json")


def put_params(connection: sa.Connection, trial_id: int, drawn: Mapping[str, tuple[float, BaseDistribution]]) -> None:
    """Parameters in Optuna's internal representation; those that are there stay."""
    rows = [
        {
            "trial_id": trial_id,
            "param_name": name,
            "param_value": value,
            "distribution_json": distribution_to_json(distribution),
        }
        for name, (value, distribution) in drawn.items()
    ]
    insert_missing(connection, params, rows)


def put_outcome(connection: sa.Connection, trial_id: int, state: TrialState, told: Sequence[float] | None) -> bool:
    """Ends a RUNNING trial, as `Study.tell` does; false, and nothing changed, where it is not RUNNING."""
    running = (trials.c.trial_id == trial_id) & (trials.c.state == TrialState.RUNNING)
    ended = trials.update().where(running).values(state=state, datetime_complete=datetime.now())
    if connection.execute(ended).rowcount != 1:
        return False
    for objective, value in enumerate(told or ()):
        insert_new(connection, values, {"trial_id": trial_id, "objective": objective, "value": value, **FINITE})
    return True


def last_step(connection: sa.Connection, trial_id: int) -> float | None:
    """The latest intermediate value, which Optuna takes as a PRUNED trial's."""
    query = sa.select(steps.c.intermediate_value).where(steps.c.trial_id == trial_id).order_by(steps.c.step.desc())
    return connection.execute(query.limit(1)).scalar()


def count_states(connection: sa.Connection, study_id: int) -> dict[str, int]:
    """Trials by state's name."""
    query = sa.select(trials.c.state, sa.func.count()).where(trials.c.study_id == study_id).group_by(trials.c.state)
    found = {state.name: number for state, number in connection.execute(query)}
    return {state.name: found.get(state.name, 0) for state in TrialState}


def values_of_complete(connection: sa.Connection, study_id: int) -> dict[int, float]:
    """Number -> first value of the COMPLETE trials, by number."""
    query = (
        sa.select(trials.c.number, values.c.value)
        .join(values, values.c.trial_id == trials.c.trial_id)
        .where(trials.c.study_id == study_id, trials.c.state == TrialState.COMPLETE, values.c.objective == 0)
        .order_by(trials.c.number)
    )
    return {row.number: row.value for row in connection.execute(query)}
