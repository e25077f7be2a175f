"""What a report is made from: the records and attributes of a search study and its confirm study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.storages import RDBStorage

from storage.costs import Cost, read_costs
from storage.definition import DEFINITION
from storage.importance import parameter_importances
from storage.ledger import Tried, tried_on_market_of
from storage.names import CONFIRM, HOLDOUT, TUNE, sweep_of
from storage.record import (
    ARM_HASHES,
    CHANGES_ACCEPTED,
    StudyEvent,
    TrialRecord,
    best_complete,
    load_study,
    read_events,
    read_records,
    stages_of,
)
from storage.references import Reference, read_references


@dataclass(frozen=True)
class StudyEvidence:
    """One study as the store holds it."""

    name: str
    attributes: dict[str, Any]
    records: list[TrialRecord]
    events: list[StudyEvent]

    def count(self, state: str) -> int:
        return sum(record.state == state for record in self.records)

    @property
    def compared(self) -> list[TrialRecord]:
        """Trials whose values mean the same as the newest one's; of a confirm study those of the configurations that
        its arms stand for now: another winner, tuning or number of epochs has trials of its own under the same name."""
        current = self.attributes.get(ARM_HASHES)
        return [record for record in self.records if record.is_comparable and _is_current(record, current)]

    @property
    def accepted(self) -> list[str]:
        """Changes of its definition that somebody took over, in words."""
        return [
            f"{self.name}, from trial {event.number} on: {event.message}"
            for event in self.events
            if event.kind == CHANGES_ACCEPTED
        ]

    @property
    def best(self) -> TrialRecord | None:
        return best_complete(self.records)


def _is_current(record: TrialRecord, hashes: Mapping[str, str] | None) -> bool:
    """One that was enqueued and never started has no configuration yet."""
    known = record.attributes.get("config_hash")
    return hashes is None or known is None or hashes.get(str(record.arm)) == known


@dataclass(frozen=True)
class Evidence:
    """Everything that the sections read. Any of the studies may be missing, but not all."""

    name: str
    search: StudyEvidence | None
    confirm: StudyEvidence | None
    importances: dict[str, float]
    tune: StudyEvidence | None = None
    references: tuple[Reference, ...] = ()  # of the confirm study
    search_references: tuple[Reference, ...] = ()
    holdout: StudyEvidence | None = None
    holdout_references: tuple[Reference, ...] = ()
    tried: Tried | None = None  # on this market
    costs: Mapping[str, Cost] = field(default_factory=dict)  # by study

    @property
    def studies(self) -> list[StudyEvidence]:
        """Those that there are, in the order in which they run."""
        return [study for study in (self.search, self.tune, self.confirm, self.holdout) if study is not None]

    @property
    def are_of_the_same(self) -> bool:
        """Whether search and confirm are about the same data, cut into the same folds."""
        if self.search is None or self.confirm is None:
            return True
        one, other = (study.attributes.get(DEFINITION, {}) for study in (self.search, self.confirm))
        return all(one.get(key) == other.get(key) for key in ("cells", "folds"))

    @property
    def backtest(self) -> dict[str, Any] | None:
        """Of the present winner, as the driver left it in the confirm study; None where it was not run."""
        return self._kept("backtest")

    @property
    def reference_backtest(self) -> dict[str, Any] | None:
        """The same of the reference."""
        return self._kept("reference_backtest")

    def _kept(self, attribute: str) -> dict[str, Any] | None:
        """What is of a configuration that its arm stands for no more is not told."""
        about = {} if self.confirm is None else self.confirm.attributes
        kept: dict[str, Any] | None = about.get(attribute)
        if kept is None or about.get(ARM_HASHES, {}).get(kept.get("arm")) != kept.get("config_hash"):
            return None
        return kept

    @property
    def any_study(self) -> StudyEvidence:
        return self.studies[0]


def read_evidence(storage: RDBStorage, name: str) -> Evidence:
    """Reads the studies of a sweep, as far as they exist.

    Raises:
        StorageError: none exists; names those that do.
    """
    name = sweep_of(name)
    studies = {
        known: StudyEvidence(
            name=known,
            attributes=load_study(storage, known).user_attrs,
            records=read_records(storage, known),
            events=read_events(storage, known),
        )
        for known in stages_of(storage, name)
    }
    importances = parameter_importances(storage, name) if name in studies else {}
    return Evidence(
        name,
        search=studies.get(name),
        confirm=studies.get(name + CONFIRM),
        importances=importances,
        tune=studies.get(name + TUNE),
        references=tuple(read_references(storage, name + CONFIRM)),
        search_references=tuple(read_references(storage, name)),
        holdout=studies.get(name + HOLDOUT),
        holdout_references=tuple(read_references(storage, name + HOLDOUT)),
        tried=tried_on_market_of(storage.engine, list(studies)),
        costs=read_costs(storage.engine, studies),
    )
