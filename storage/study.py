"""Writing a study: asked, attributed, every result recorded, told last. Recording is exactly once."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from storage.database import persistently
from storage.errors import StorageError
from storage.record import read_curves
from storage.tables import epochs, events

DEFINITION = "definition"
UNFINISHED = (TrialState.RUNNING, TrialState.WAITING)


class StudyStore:
    """One study of one store, as its driver writes it.

    Every write of a trial asks `guard` first, which raises where the right to write is lost (`Lease.renew`).
    """

    def __init__(
        self,
        storage: RDBStorage,
        name: str,
        sampler: optuna.samplers.BaseSampler | None = None,
        guard: Callable[[], None] = lambda: None,
    ) -> None:
        self.storage, self.name, self._guard = storage, name, guard
        self.study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True, sampler=sampler
        )

    def define(self, definition: Mapping[str, Any]) -> None:
        """Writes what the study is about at its start; later it must be the same.

        Raises:
            StorageError: it changed; names what, from what, to what.
        """
        known, wanted = self.study.user_attrs.get(DEFINITION), json.loads(json.dumps(dict(definition)))
        if known is None:
            persistently(lambda: self.study.set_user_attr(DEFINITION, wanted))
            return
        keys = [*wanted, *(key for key in known if key not in wanted)]
        changed = [f"{k}: {known.get(k)} -> {wanted.get(k)}" for k in keys if known.get(k) != wanted.get(k)]
        if changed:
            raise StorageError(
                f"a study keeps its definition, but for {self.name!r} these changed: {'; '.join(changed)}. "
                f"Use another --name, or another --runs folder."
            )

    def requeue_unfinished(self) -> list[int]:
        """Puts every trial that no driver runs any more back to WAITING: same number, same parameters.

        To be called by the lease holder alone. Curves that our table knows are copied to Optuna's where missing.
        """
        self._guard()
        curves = read_curves(self.storage.engine, self.name)
        numbers = []
        for trial in self._trials(TrialState.RUNNING):
            for result in curves.get(trial.number, ()):
                if result["epoch"] not in trial.intermediate_values:
                    self._copy_step(trial._trial_id, result["epoch"], result["value"])
            self.put_back(trial._trial_id)
            numbers.append(trial.number)
        return numbers

    def give_up_waiting(self, is_stale: Callable[[Mapping[str, Any]], bool]) -> list[int]:
        """Ends, as FAIL, the waiting trials whose attributes say that nobody will go on with them."""
        self._guard()
        numbers = []
        for trial in self.waiting():
            if is_stale(trial.user_attrs):
                story = {"reason": "abandoned", "sentence": "another configuration was trained under this name"}
                self.set_attributes(trial._trial_id, story)
                self.storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
                numbers.append(trial.number)
        return numbers

    def waiting(self) -> list[FrozenTrial]:
        """The trials that the next `ask` goes on with, in its order."""
        return self._trials(TrialState.WAITING)

    def ask(self, cell: Mapping[str, Any] | None = None) -> optuna.Trial:
        """The next waiting trial, or a new one; `cell` fixes the parameters of a new one."""
        self._guard()
        if cell is not None and not self.waiting():
            persistently(lambda: self.study.enqueue_trial(dict(cell)))
        return persistently(self.study.ask)

    def known_epochs(self, number: int) -> tuple[dict[str, Any], ...]:
        """The EpochResults that are recorded for a trial."""
        return read_curves(self.storage.engine, self.name).get(number, ())

    def set_attributes(self, trial_id: int, attributes: Mapping[str, Any]) -> None:
        self._guard()
        for key, value in attributes.items():
            persistently(partial(self.storage.set_trial_user_attr, trial_id, key, value))

    def record_epoch(self, trial_id: int, number: int, result: Mapping[str, Any]) -> bool:
        """Writes one epoch to our table, then its copy to Optuna's; false where it was there already.

        Raises:
            StorageError: a number of it is not finite: a failure is never stored as a result.
        """
        self._guard()
        for key in ("value", "best_so_far", "seconds"):
            if not math.isfinite(result[key]):
                raise StorageError(f"an epoch's {key} must be finite, got {result[key]} in trial {number}.")
        row = {
            "study": self.name,
            "number": number,
            "epoch": result["epoch"],
            "value": result["value"],
            "best_so_far": result["best_so_far"],
            "seconds": result["seconds"],
            "result": dict(result),
        }
        is_new = persistently(lambda: self._insert_epoch(row))
        if is_new:
            persistently(lambda: self._copy_step(trial_id, result["epoch"], result["value"]))
        return is_new

    def put_back(self, trial_id: int) -> None:
        """A running trial waits again, for the next `ask`."""
        self._guard()
        self.storage.set_trial_state_values(trial_id, TrialState.WAITING)

    def tell(self, number: int, state: TrialState, value: float | None = None) -> None:
        """Ends a trial: the last write. One that is ended already stays as it is."""
        self._guard()
        try:
            persistently(lambda: self.study.tell(number, values=value, state=state, skip_if_finished=True))
        except UpdateFinishedTrialError:
            return

    def note(self, kind: str, message: str, number: int | None = None) -> None:
        """Appends an event."""
        row = {"study": self.name, "number": number, "kind": kind, "message": message}
        persistently(lambda: self._insert(events, row))

    def counts(self) -> dict[str, int]:
        """Trials by state's name."""
        counts = {state.name: 0 for state in TrialState}
        for trial in self.study.get_trials(deepcopy=False):
            counts[trial.state.name] += 1
        return counts

    def complete_values(self) -> dict[int, float]:
        """Number -> value of the COMPLETE trials."""
        complete = self._trials(TrialState.COMPLETE)
        return {trial.number: trial.values[0] for trial in complete if trial.values}

    @property
    def num_finished(self) -> int:
        return sum(trial.state.is_finished() for trial in self.study.get_trials(deepcopy=False))

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states)

    def _insert_epoch(self, row: Mapping[str, Any]) -> bool:
        try:
            self._insert(epochs, row)
        except sa.exc.IntegrityError:
            return False
        return True

    def _insert(self, table: sa.Table, row: Mapping[str, Any]) -> None:
        with self.storage.engine.begin() as connection:
            connection.execute(table.insert().values(**row))

    def _copy_step(self, trial_id: int, epoch: int, value: float) -> None:
        try:
            self.storage.set_trial_intermediate_value(trial_id, epoch, value)
        except UpdateFinishedTrialError:
            return
