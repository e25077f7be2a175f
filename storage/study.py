"""Writing a study: asked, attributed, every result recorded, told last. Recording is exactly once."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, TypeVar

import optuna
import sqlalchemy as sa
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from storage.alike import Alike
from storage.attempt import Ending, EpochReport
from storage.costs import charge_dead
from storage.database import append_row, persistently
from storage.definition import DEFINITION, VALUES_FROM, changes, changes_values, plain, refuse_changed
from storage.draft import take_drawn
from storage.errors import StorageError
from storage.line import by_itself
from storage.record import CHANGES_ACCEPTED, CONSTRAINTS, read_curves
from storage.tables import attempts, events, ledger
from storage.writes import (
    count_states,
    insert_new,
    is_finished,
    last_step,
    put,
    put_attributes,
    put_constraints,
    put_epoch,
    put_outcome,
    put_params,
    put_step,
    values_of_complete,
)

KEY, DRIVER = "key", "driver"
ENDED_BETWEEN = 16  # trials, between two looks at what they have in common
Result = TypeVar("Result")


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
        directions: Sequence[StudyDirection] | None = None,
    ) -> None:
        """
        Args:
            storage: open.
            name: of the study, which is made where it is not there.
            sampler: that draws; None: the plan sets one before each ask.
            guard: see above.
            directions: of its objectives; None: those that it has, or one to be maximised.

        Raises:
            StorageError: it has trials, and objectives of other directions.
        """
        self.storage, self.name, self._guard = storage, name, guard
        self._alike, self._ended = Alike(), 0
        wanted = list(directions or [StudyDirection.MAXIMIZE])
        make = partial(optuna.create_study, storage=storage, study_name=name, load_if_exists=True, sampler=sampler)
        self.study = make(directions=wanted)
        if directions is None or self.study.directions == wanted:
            return
        if self.has_trials:
            raise StorageError(
                f"a study keeps its number of objectives and their directions, but {name!r} has "
                f"{_in_words(self.study.directions)}, and {_in_words(wanted)} were asked for. Use another --name."
            )
        optuna.delete_study(study_name=name, storage=storage)
        self.study = make(directions=wanted)

    @cached_property
    def key(self) -> str:
        """Of this study and no other, also after it was removed and another one took its name."""
        known = self.study.user_attrs.get(KEY)
        if known is None:
            known = uuid.uuid4().hex
            persistently(lambda: self.study.set_user_attr(KEY, known))
        return str(known)

    def define(
        self,
        definition: Mapping[str, Any],
        epochs: int | None = None,
        accept: bool = False,
        names: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Writes what the study is about; once it has trials it must be the same, but for more epochs.

        Args:
            definition: plain values, nested as one likes.
            epochs: of a full trial; they may grow.
            accept: what changed, as the study's definition from now on.
            names: see `changes`.

        Returns:
            What changed and was accepted, one sentence per setting.

        Raises:
            StorageError: something changed; names what, from what, to what.
        """
        wanted = plain(definition, epochs)
        known = self.study.user_attrs.get(DEFINITION)
        changed = changes(known, wanted, self.has_trials, names)
        if not accept:
            refuse_changed(self.name, changed)
        number = sum(self.counts().values())
        if changes_values(changed):  # before the definition: should this driver die in between, they are accepted again
            persistently(lambda: self.study.set_user_attr(VALUES_FROM, number))
        if known != wanted:
            persistently(lambda: self.study.set_user_attr(DEFINITION, wanted))
        if changed:
            self.note(CHANGES_ACCEPTED, "; ".join(changed), number)
            self.give_up_waiting(lambda trial: "config" in trial.user_attrs, "the study's definition changed")
        return changed

    def requeue_unfinished(self, is_left: Callable[[FrozenTrial], bool] = lambda trial: True) -> list[int]:
        """Puts every RUNNING trial that no driver runs any more back to WAITING: same number, same parameters.

        To be called by the lease holder alone. Curves that our table knows are copied to Optuna's where missing; what
        the attempt cost, as far as it was recorded, is kept.

        Args:
            is_left: which of them those are.
        """
        self._guard()
        numbers = []
        for trial in filter(is_left, self._trials(TrialState.RUNNING)):
            curve = self.known_epochs(trial.number)
            with self.storage.engine.begin() as connection:
                for result in curve:
                    put_step(connection, trial._trial_id, result["epoch"], result["value"])
                charge_dead(connection, self.name, trial, curve)
            self.put_back(trial._trial_id)
            numbers.append(trial.number)
        return numbers

    def give_up_waiting(
        self,
        is_stale: Callable[[FrozenTrial], bool],
        why: str = "another configuration was trained under this name",
    ) -> list[int]:
        """Ends, as FAIL, the waiting trials that nobody will go on with."""
        self._guard()
        numbers = []
        for trial in self.waiting():
            if is_stale(trial):
                story = {"reason": "abandoned", "sentence": why}
                self.set_attributes(trial._trial_id, story)
                self.storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
                numbers.append(trial.number)
        return numbers

    def waiting(self) -> list[FrozenTrial]:
        """The trials that the next `ask` goes on with, in its order."""
        return self._trials(TrialState.WAITING)

    def ask(self, cell: Mapping[str, Any] | None = None, some_wait: bool | None = None) -> optuna.Trial:
        """The next waiting trial, or a new one; `cell` fixes the parameters of a new one.

        What `Study.ask` does, each part tried again by itself: all of it again would ask for another trial. A caller
        that has just counted says whether `some_wait`.
        """
        self._guard()
        if some_wait is None:
            some_wait = bool(self.counts()[TrialState.WAITING.name])
        if cell is not None and not some_wait:
            persistently(lambda: self.study.enqueue_trial(dict(cell)))
            some_wait = True
        trial_id = persistently(self.study._pop_waiting_trial_id) if some_wait else None
        if trial_id is None:
            trial_id = persistently(lambda: self.study._storage.create_new_trial(self.study._study_id))
        self.study._thread_local.cached_all_trials = None
        return persistently(lambda: optuna.Trial(self.study, trial_id))

    def start(self, trial: optuna.Trial, attributes: Mapping[str, Any]) -> None:
        """What was drawn and what the trial says of itself, in one transaction."""
        self._guard()
        drawn = take_drawn(trial)

        def write() -> None:
            with self.storage.engine.begin() as connection:
                put_params(connection, trial._trial_id, drawn)
                put_attributes(connection, trial._trial_id, attributes)

        persistently(write)

    def known_epochs(self, number: int) -> tuple[dict[str, Any], ...]:
        """The EpochResults that are recorded for a trial."""
        return self._read(lambda connection: read_curves(connection, self.name, number).get(number, ()))

    def set_attributes(self, trial_id: int, attributes: Mapping[str, Any]) -> None:
        """All of them, or none; those of a trial that was told stay as they are."""
        self._guard()
        persistently(lambda: self._set_attributes(trial_id, attributes))

    def record_epoch(self, report: EpochReport) -> bool:
        """Writes one epoch to our table, its copy to Optuna's and its events, all or nothing.

        Returns:
            Whether it is new: false, and nothing changed, where it was there already or the trial was told.

        Raises:
            StorageError: a number of it is not finite: a failure is never stored as a result.
        """
        self._guard()
        result = report.result
        for key in ("value", "best_so_far", "seconds"):
            if not math.isfinite(result[key]):
                raise StorageError(f"an epoch's {key} must be finite, got {result[key]} in trial {report.number}.")
        row = {
            "study": self.name,
            "number": report.number,
            "epoch": result["epoch"],
            "fold": report.fold,
            "horizons": list(report.horizons),
            "value": result["value"],
            "best_so_far": result["best_so_far"],
            "seconds": result["seconds"],
            "result": dict(result),
        }
        return persistently(lambda: self._insert_epoch(report.trial_id, row))

    def end(self, ending: Ending) -> None:
        """What an attempt leaves and the state, told or waiting again, all or nothing. Twice is as once."""
        self._guard()
        persistently(lambda: self._insert_ending(ending))
        if ending.state is None and not ending.held:
            self.put_back(ending.trial_id)
        self._ended += 1
        if self._ended % ENDED_BETWEEN == 0:
            self._alike.keep(persistently(partial(self.study.get_trials, deepcopy=False)))

    def put_back(self, trial_id: int) -> None:
        """A running trial waits again, for the next `ask`; one that was told stays as it is."""
        self._guard()
        try:
            persistently(lambda: self.storage.set_trial_state_values(trial_id, TrialState.WAITING))
        except UpdateFinishedTrialError:
            return

    def tell(self, number: int, state: TrialState, values: float | Sequence[float] | None = None) -> None:
        """Ends a trial: the last write. One that is ended already stays as it is."""
        self._guard()
        try:
            persistently(lambda: self.study.tell(number, values=values, state=state, skip_if_finished=True))
        except UpdateFinishedTrialError:
            return

    def note(self, kind: str, message: str, number: int | None = None) -> None:
        """Appends an event."""
        row = {"study": self.name, "number": number, "kind": kind, "message": message}
        append_row(self.storage.engine, events, row)

    def counts(self) -> dict[str, int]:
        """Trials by state's name."""
        return self._read(lambda connection: count_states(connection, self.study._study_id))

    def complete_values(self) -> dict[int, float]:
        """Number -> value of the COMPLETE trials; the first one, where there are several objectives.

        Of those whose values mean the same as those of the next trial.
        """
        values = self._read(lambda connection: values_of_complete(connection, self.study._study_id))
        return {number: value for number, value in values.items() if number >= self.values_from}

    @cached_property
    def values_from(self) -> int:
        """Number of the first trial whose value means the same as the next one's."""
        return int(self.study.user_attrs.get(VALUES_FROM, 0))

    @property
    def has_trials(self) -> bool:
        return any(self.counts().values())

    @property
    def num_finished(self) -> int:
        return sum(number for state, number in self.counts().items() if TrialState[state].is_finished())

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states)

    def _read(self, query: Callable[[sa.Connection], Result]) -> Result:
        def read() -> Result:
            with by_itself(self.storage.engine) as connection:
                return query(connection)

        return persistently(read)

    def _insert_epoch(self, trial_id: int, row: Mapping[str, Any]) -> bool:
        told = row["result"].get("events", ())
        with self.storage.engine.begin() if told else by_itself(self.storage.engine) as connection:
            if not put_epoch(connection, trial_id, row):
                return False
            for event in told:
                self._insert_event(connection, event["kind"], event["sentence"], row["number"])
        return True

    def _insert_ending(self, ending: Ending) -> None:
        own = {"study": self.name, "number": ending.number}
        attempt = own | {"attempt": ending.attempt, "ending": ending.ending} | ending.cost
        entry = None if ending.ledger is None else own | {"study_key": self.key} | ending.ledger
        with self.storage.engine.begin() as connection:
            if is_finished(connection, ending.trial_id):
                return
            put_attributes(connection, ending.trial_id, ending.attributes)
            put_constraints(connection, ending.trial_id, ending.attributes.get(CONSTRAINTS, {}))
            if entry is not None:
                put(connection, ledger, [entry], ("study_key", "number"), "value")
            if insert_new(connection, attempts, attempt):
                for kind, message in ending.events:
                    self._insert_event(connection, kind, message, ending.number)
            if ending.state is not None:
                self._tell(connection, ending.trial_id, TrialState[ending.state], ending.values)

    def _tell(
        self, connection: sa.Connection, trial_id: int, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """The commit. A PRUNED trial of one objective gets its last step's value, as Optuna has it."""
        if state is TrialState.PRUNED and len(self.study.directions) == 1:
            last = last_step(connection, trial_id)
            values = None if last is None else (last,)
        put_outcome(connection, trial_id, state, values)

    def _set_attributes(self, trial_id: int, content: Mapping[str, Any]) -> None:
        with self.storage.engine.begin() as connection:
            if not is_finished(connection, trial_id):
                put_attributes(connection, trial_id, content)

    def _insert_event(self, connection: sa.Connection, kind: str, message: str, number: int | None) -> None:
        row = {"study": self.name, "number": number, "kind": kind, "message": message}
        connection.execute(events.insert().values(**row))


def _in_words(directions: Sequence[StudyDirection]) -> str:
    return ", ".join(direction.name.lower() for direction in directions)
