"""Which finished trials an export takes: the confirmed winner's, or one that was named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from optuna.storages import RDBStorage

from data.findings import counted
from reports.deployment import Deployment, decide, winning_record
from reports.evidence import Evidence, StudyEvidence, read_evidence
from reports.monitoring.band import Expected
from storage.errors import StorageError
from storage.names import sweep_of
from storage.record import TrialRecord, read_records
from trial.predictions import PREDICTIONS, SCALER, WEIGHTS
from trial.production.findings import EnsembleFindings

CONFIRMED, GREEDY = "confirmed", "greedy"


@dataclass(frozen=True)
class Choice:
    """Trials of one study, whose networks are exported together."""

    name: str  # of the set of networks in the bundle
    study: str
    records: tuple[TrialRecord, ...]
    why: str  # these, in words
    evidence: Evidence
    found: Deployment | None  # None where the sweep's confirm stage has nothing to say of these
    shares: tuple[float, ...] = (1.0,)  # how often each counts
    judged: str | None = None  # what confirm days said of an ensemble that the search chose
    expected: Expected | None = None  # of the same

    @property
    def folders(self) -> list[Path]:
        """Where each trial left its files."""
        return [Path(str(record.attributes["predictions"])).parent for record in self.records]


def choose_winner(storage: RDBStorage, sweep: str, num_members: int) -> Choice:
    """The winner's first seeds on its last confirm fold: by number, never by what they scored.

    Raises:
        StorageError: nothing was confirmed, or with fewer seeds.
    """
    evidence = read_evidence(storage, sweep)
    found = decide(evidence)
    if found.winner is None or evidence.confirm is None:
        raise StorageError(
            f"an export takes the winner that was confirmed, but {found.why}. Run the sweep to its end, or name a "
            f"trial with --trial."
        )
    own = _last_fold(evidence.confirm, found.winner.arm)
    if len(own) < num_members:
        raise StorageError(
            f"an ensemble of {num_members} needs as many seeds, but the winner was confirmed with "
            f"{counted(len(own), 'seed')}. Ask for fewer, or run the sweep with --seeds {num_members}."
        )
    picked = tuple(own[:num_members])
    fold = picked[0].fold
    why = (
        f"the winner of {sweep} ({found.winner.arm}), {_seeds(picked)}, as trained for {fold}, the last confirm fold; "
        f"seeds by number, not by what they scored"
    )
    return _refusing_lost(Choice(CONFIRMED, evidence.confirm.name, picked, why, evidence, found, (1.0,) * len(picked)))


def choose_trial(storage: RDBStorage, study: str, number: int) -> Choice:
    """One COMPLETE trial of any study.

    Raises:
        StorageError: no such trial, or it is not COMPLETE.
    """
    records = {record.number: record for record in read_records(storage, study)}
    if number not in records:
        raise StorageError(f"a trial of {study!r} must be one of 0 to {len(records) - 1}, got {number}.")
    record = records[number]
    if record.state != "COMPLETE":
        raise StorageError(f"a COMPLETE trial can be exported, but {number} of {study!r} is {record.state}.")
    why = f"trial {number} of {study}, which was named"
    evidence = read_evidence(storage, sweep_of(study))
    return _refusing_lost(Choice(f"trial-{number}", study, (record,), why, evidence, None))


def choose_greedy(storage: RDBStorage, sweep: str, findings: EnsembleFindings) -> Choice:
    """The members that `trial.ensemble` found in the search.

    Raises:
        StorageError: a trial is gone, or was run anew.
    """
    records = {record.number: record for record in read_records(storage, findings.study)}
    own = [records.get(member.trial) for member in findings.members]
    for member, record in zip(findings.members, own, strict=True):
        if record is None or record.state != "COMPLETE" or record.value != member.value:
            raise StorageError(
                f"an ensemble is exported as it was judged, but trial {member.trial} of {findings.study} is another "
                f"one now. Run it again: python -m trial.ensemble {sweep}."
            )
    picked = tuple(record for record in own if record is not None)
    why = (
        f"the greedy ensemble of {findings.study}, {counted(len(picked), 'network')} of its search, chosen on the "
        f"search fold"
    )
    shares = tuple(float(member.times) for member in findings.members)
    evidence = read_evidence(storage, sweep)
    return _refusing_lost(
        Choice(GREEDY, findings.study, picked, why, evidence, None, shares, findings.sentence, findings.expected)
    )


def _last_fold(confirm: StudyEvidence, arm: str) -> list[TrialRecord]:
    """COMPLETE trials of the winner's newest configuration on the fold that learned from most days, by seed."""
    newest = winning_record(confirm, arm)
    own = [
        record
        for record in confirm.compared
        if record.arm == arm
        and record.state == "COMPLETE"
        and record.attributes["config_hash"] == newest.attributes["config_hash"]
    ]
    last = max((str(record.fold) for record in own), key=lambda fold: int(fold.rpartition("-")[2]))
    by_seed = {record.seed: record for record in own if record.fold == last}
    return [by_seed[seed] for seed in sorted(seed for seed in by_seed if seed is not None)]


def _seeds(records: tuple[TrialRecord, ...]) -> str:
    return ("seed " if len(records) == 1 else "seeds ") + ", ".join(str(record.seed) for record in records)


def _refusing_lost(choice: Choice) -> Choice:
    """Raises StorageError where a file of a trial is not there."""
    for record, folder in zip(choice.records, choice.folders, strict=True):
        if missing := [name for name in (WEIGHTS, SCALER, PREDICTIONS) if not (folder / name).is_file()]:
            raise StorageError(
                f"an export needs what the trial left, but {folder} of trial {record.number} of {choice.study} lacks "
                f"{', '.join(missing)}. Bring the folder back, or run the sweep anew."
            )
    return choice
