"""Statements on Optuna's own tables, so that what belongs together is written in one transaction.

Optuna commits every attribute and every step by itself, 2 to 3 ms each; and a step in our table without its copy in
Optuna's would be half a truth. The tables are those of the pinned version, read through its models; that Optuna reads
back what is written here, on both kinds of store, is tested.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
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
CONSTRAINT = "constraints:"  # begins the key by which Optuna's samplers know a constraint


def insert_new(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> bool:
    """Inserts the row; false, and nothing changed, where its key is there already."""
    statement = _insert(connection, table).values(**row).on_conflict_do_nothing().returning(sa.literal_column("1"))
    return connection.execute(statement).first() is not None


def put(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], key: Sequence[str], value: str
) -> None:
    """Inserts the rows; where a key is there already, its value is replaced."""
    if rows:
        statement: Any = _insert(connection, table).values(list(rows))
        excluded = statement.excluded[value]
        connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_={value: excluded}))


def _insert(connection: sa.Connection, table: sa.Table) -> Any:
    """Of the kind that knows what to do about conflicts."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def is_finished(connection: sa.Connection, trial_id: int) -> bool:
    """Whether the trial was told; locks its row for this transaction where the database knows such locks."""
    state = connection.execute(sa.select(trials.c.state).where(trials.c.trial_id == trial_id).with_for_update())
    return TrialState[str(state.scalar_one().name)].is_finished()


def put_epoch(connection: sa.Connection, trial_id: int, row: Mapping[str, Any]) -> bool:
    """A row of our table of epochs and its copy as an intermediate value; false, and nothing changed, where it is there
    already or the trial was told. One statement where the database knows such, because each costs a round trip."""
    given = [sa.literal(value, epochs.c[name].type) for name, value in row.items()]
    open_trial = (trials.c.trial_id == trial_id) & trials.c.state.in_((TrialState.RUNNING, TrialState.WAITING))
    found = sa.select(*given).select_from(trials).where(open_trial).with_for_update()
    insert = _insert(connection, epochs).from_select(list(row), found).on_conflict_do_nothing()
    if connection.dialect.name != "postgresql":
        if connection.execute(insert.returning(sa.literal_column("1"))).first() is None:
            return False
        put_step(connection, trial_id, row["epoch"], row["value"])
        return True
    new = insert.returning(epochs.c.epoch, epochs.c.value).cte("new")
    step = (sa.literal(trial_id), new.c.epoch, new.c.value, sa.literal("FINITE", steps.c.intermediate_value_type.type))
    names = ["trial_id", "step", "intermediate_value", "intermediate_value_type"]
    copied = _insert(connection, steps).from_select(names, sa.select(*step)).on_conflict_do_nothing()
    counted = sa.select(sa.func.count()).select_from(new).add_cte(copied.returning(steps.c.step).cte("copied"))
    return bool(connection.execute(counted).scalar_one())


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
    if rows:
        connection.execute(_insert(connection, params).values(rows).on_conflict_do_nothing())


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
