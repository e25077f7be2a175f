"""The hold-out is read once: who has seen its days, in a sweep or a read, and what is written down before a read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from optuna.storages import RDBStorage
from rich.console import Console

from data.findings import counted
from data.store import MarketStore
from reports.deployment import Deployment
from search_spaces.config import TrialConfig
from storage.errors import StorageError
from storage.ledger import note_holdout_read, read_holdout_reads, studies_on_market
from storage.names import HOLDOUT, sweep_of
from storage.record import load_study, study_names


@dataclass(frozen=True)
class HoldoutRead:
    """One read, checked; `market` ends before the hold-out until the read is written down."""

    sweep: str
    arm: str
    confirmed: str  # hash of the configuration that was confirmed
    config: TrialConfig  # the same, and later with the hold-out as its fold
    num_seeds: int  # as many as it was confirmed with
    panel: Path
    market: MarketStore
    days: str  # FIRST .. LAST of the hold-out
    number: int  # by which the ledger knows the market
    earlier: int = 0  # reads of it that were written down before, this one apart
    is_begun: bool = False  # whether the same read was written down before

    @property
    def purpose(self) -> str:
        """What is written down: equal for the same winner of the same sweep, its seeds and the same days alone."""
        seeds = counted(self.num_seeds, "seed")
        return f"{self.sweep}: {self.arm}, configuration {self.confirmed}, {seeds}, {self.days}"


def unless_read(storage: RDBStorage, read: HoldoutRead, found: Deployment, burn: bool) -> HoldoutRead:
    """Refuses what would be a second look, or a first for nothing; the same read may be gone on with.

    Raises:
        StorageError: somebody read the hold-out, a sweep scored days of it, or the answer does not wait for it.
    """
    reads = read_holdout_reads(storage.engine, read.number)
    read = replace(read, earlier=len(reads))
    if any(one.purpose == read.purpose for one in reads):
        return replace(read, is_begun=True)
    if burn:
        return read
    if reads:
        last = reads[-1]
        raise StorageError(
            f"a hold-out is read once, but this market's was read {counted(len(reads), 'time')}, last by {last.reader} "
            f"at {last.time:%Y-%m-%d %H:%M} UTC ({last.purpose}). --burn-holdout reads it again, and it is counted."
        )
    if (seen := _scored_by_a_sweep(storage, read)) is not None:
        raise StorageError(
            f"a hold-out is a stretch that nobody chose by, but {seen[0]} scored days through {seen[1]} of this "
            f"market, and the hold-out is {read.days}. --burn-holdout reads it all the same, and it is counted."
        )
    if not found.awaits_holdout:
        raise StorageError(
            f"a hold-out is read where it can decide, but the answer is {found.decision} whatever it says: "
            f"{found.why}. --burn-holdout reads it all the same; a read "
            f"is counted for this market, and cannot be taken back."
        )
    return read


def _scored_by_a_sweep(storage: RDBStorage, read: HoldoutRead) -> tuple[str, str] | None:
    """A study of the same market that scored days of the hold-out, and through which; other reads apart."""
    first = str(read.market.meta.holdout_from)
    for name in sorted(set(studies_on_market(storage.engine, read.number)) & study_names(storage)):
        folds = load_study(storage, name).user_attrs.get("folds_by_date", {})
        last = max((days[-1] for days in folds.values()), default="")
        if name != f"{sweep_of(name)}{HOLDOUT}" and last >= first:
            return name, last
    return None


def note_read(storage: RDBStorage, read: HoldoutRead, console: Console) -> None:
    """Written before anything is read: a crash counts.

    Raises:
        StorageError: somebody else has begun to read since the read was checked.
    """
    if read.is_begun:
        console.print("hold-out: goes on with the read that was written down before; none is added")
        return
    if not note_holdout_read(storage.engine, read.number, read.purpose, read.earlier):
        raise StorageError(
            "a hold-out is read by one at a time, but somebody else has begun since this command looked. Run it again "
            "to see who."
        )
    number = read.earlier + 1
    console.print(f"hold-out: written down as read number {number} of this market ({read.purpose})", markup=False)
