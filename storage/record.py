"""TrialRecord: one trial as it is read back, joined from Optuna's tables and ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, NamedTuple

import optuna
import pandas as pd
import sqlalchemy as sa
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from storage.definition import VALUES_FROM
from storage.errors import StorageError
from storage.names import studies_of
from storage.tables import epochs, events

CONSTRAINTS = "constraints"  # attribute: name -> by how much it is broken; at most 0 where it holds
CHANGES_ACCEPTED = "changes_accepted"  # event: the definition changed before the trial of its number
ARM_HASHES = "arm_hashes"  # attribute of a confirm study: arm -> hash of the configuration that it stands for
OTHERS, BROKEN = "values_", "over_"  # begin the columns of further objectives and of constraints
COLUMNS = ("number", "state", "value", "reason", "epochs", "arm", "seed", "fold")


@dataclass(frozen=True)
class TrialRecord:
    """What a report or a command knows of a trial."""

    number: int
    state: str  # COMPLETE, PRUNED, FAIL, RUNNING, WAITING
    value: float | None
    params: dict[str, Any]
    attributes: dict[str, Any] = field(repr=False)
    curve: tuple[dict[str, Any], ...] = field(repr=False)  # every EpochResult, in order
    others: tuple[float, ...] = ()  # values of the objectives after the first one
    is_comparable: bool = True  # its value means the same as the newest trial's; else other data were accepted since

    @property
    def arm(self) -> str | None:
        return self.attributes.get("arm")

    @property
    def seed(self) -> int | None:
        return self.attributes.get("seed")

    @property
    def fold(self) -> str | None:
        return self.attributes.get("fold")

    @property
    def is_feasible(self) -> bool:
        """Whether every constraint of its study holds."""
        return all(violation <= 0 for violation in self.attributes.get(CONSTRAINTS, {}).values())

    @property
    def config(self) -> dict[str, Any] | None:
        return self.attributes.get("config")

    @property
    def reason(self) -> str | None:
        """Why it is not COMPLETE: 'asha', 'diverged', 'crash', ..."""
        return self.attributes.get("reason")


def read_records(storage: RDBStorage, study_name: str) -> list[TrialRecord]:
    """All trials of a study, by number.

    Raises:
        StorageError: no such study; names those that exist.
    """
    study = load_study(storage, study_name)
    trials = study.get_trials(deepcopy=False)  # before the curves: what is COMPLETE here has all its epochs there
    with storage.engine.connect() as connection:
        curves = read_curves(connection, study_name)
    first = study.user_attrs.get(VALUES_FROM, 0)
    return [_record(trial, curves.get(trial.number, ()), first) for trial in trials]


class StudyEvent(NamedTuple):
    """Something that happened to a study or a trial, in the order of the store."""

    number: int | None  # of the trial
    kind: str  # code: taken_away, unwritten, checkpoint_failed, diverged, ..
    message: str


def read_events(storage: RDBStorage, study_name: str) -> list[StudyEvent]:
    """All events of a study, oldest first."""
    wanted = sa.select(events.c.number, events.c.kind, events.c.message).where(events.c.study == study_name)
    with storage.engine.connect() as connection:
        return [StudyEvent(*row) for row in connection.execute(wanted.order_by(events.c.id))]


def best_complete(records: Sequence[TrialRecord]) -> TrialRecord | None:
    """The COMPLETE trial of the largest value that keeps its constraints, the earlier of equals; None without one."""
    return next(iter(best_first(records)), None)


def best_first(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The COMPLETE trials that keep their constraints, the largest value first; of those that can be compared."""
    complete = [r for r in records if r.state == "COMPLETE" and r.value is not None and r.is_feasible]
    complete = [r for r in complete if r.is_comparable]
    return sorted(complete, key=lambda r: (-(r.value or 0.0), r.number))


def study_names(storage: RDBStorage) -> set[str]:
    """Of all that the store holds."""
    return {study.study_name for study in storage.get_all_studies()}


def load_study(storage: RDBStorage, study_name: str) -> optuna.Study:
    """The study of that name, for reading.

    Raises:
        StorageError: no such study; names those that exist.
    """
    names = study_names(storage)
    if study_name not in names:
        near = get_close_matches(study_name, names, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        known = ", ".join(sorted(names)) or "(none yet)"
        raise StorageError(f"a study must be one of: {known}; got {study_name!r}.{meant}")
    return optuna.load_study(study_name=study_name, storage=storage)


def stages_of(storage: RDBStorage, name: str) -> list[str]:
    """The studies of sweep `name`, as far as they are there, in the order in which they run.

    Raises:
        StorageError: none is; names the studies that exist.
    """
    existing = study_names(storage)
    found = [stage for stage in studies_of(name) if stage in existing]
    if not found:
        load_study(storage, name)
    return found


def read_curves(
    connection: sa.Connection, study_name: str, number: int | None = None
) -> dict[int, tuple[dict[str, Any], ...]]:
    """Trial number -> its EpochResults in order, as our table holds them; of one trial where it is given."""
    query = sa.select(epochs.c.number, epochs.c.result).where(epochs.c.study == study_name)
    if number is not None:
        query = query.where(epochs.c.number == number)
    curves: dict[int, list[dict[str, Any]]] = {}
    for of, result in connection.execute(query.order_by(epochs.c.number, epochs.c.epoch)):
        curves.setdefault(of, []).append(result)
    return {number: tuple(results) for number, results in curves.items()}


def least_violations(records: list[TrialRecord]) -> dict[str, float]:
    """Constraint -> by how much the COMPLETE trial that breaks it least breaks it; at most 0 where one keeps it."""
    least: dict[str, float] = {}
    for record in records:
        if record.state == "COMPLETE":
            for name, excess in record.attributes.get(CONSTRAINTS, {}).items():
                least[name] = min(excess, least.get(name, excess))
    return least


def to_frame(records: list[TrialRecord]) -> pd.DataFrame:
    """One row per trial: number, state, value, reason, epochs, arm, seed, fold, the other objectives' values, by how
    much each constraint is broken (at most 0 where it holds), and the sampled parameters."""
    rows = [
        {
            "number": r.number,
            "state": r.state,
            "value": r.value,
            "reason": r.reason,
            "epochs": len(r.curve),
            "arm": r.arm,
            "seed": r.seed,
            "fold": r.fold,
            **{f"{OTHERS}{place}": value for place, value in enumerate(r.others, start=1)},
            **{f"{BROKEN}{name}": excess for name, excess in r.attributes.get(CONSTRAINTS, {}).items()},
            **{f"params_{name}": value for name, value in r.params.items()},
        }
        for r in records
    ]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(COLUMNS))


def _record(trial: FrozenTrial, curve: tuple[dict[str, Any], ...], first: int) -> TrialRecord:
    value = trial.values[0] if trial.values else None
    others = tuple(trial.values[1:]) if trial.values else ()
    state, is_comparable = trial.state.name, trial.number >= first
    return TrialRecord(trial.number, state, value, trial.params, trial.user_attrs, curve, others, is_comparable)
