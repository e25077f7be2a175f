"""What drivers that died left of a study, and trials that this driver lost sight of: taken up again.

From an ask to the attributes that say whose a trial is, the study's turn is held (`Lease.in_turn`): whoever holds it
and finds a RUNNING trial without an owner may take it for lost.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import FrozenTrial

from storage.lease import Lease, living_owners
from storage.spool import replay_left
from storage.study import DRIVER, StudyStore


@dataclass(frozen=True)
class Adoption:
    """Of one study, by the driver that holds the lease; a driver beside it looks after its own trials alone."""

    study: StudyStore
    lease: Lease
    folder: Path  # <runs>/<study>

    def replay(self) -> int:
        """Writes of dead drivers that wait for the store; their number."""
        return replay_left(self.study, self.folder, self._living) if self.lease.is_first else 0

    def adopt(self, in_hand: Collection[int] = ()) -> list[int]:
        """Trials that wait again; their numbers.

        Args:
            in_hand: numbers of the trials that this driver runs or holds.
        """
        with self.lease.in_turn():
            living = self._living

            def is_left(trial: FrozenTrial) -> bool:
                owner = trial.user_attrs.get(DRIVER)
                is_ours = owner == self.lease.owner or (self.lease.is_first and owner not in living)
                return is_ours and trial.number not in in_hand

            return self.study.requeue_unfinished(is_left)

    @property
    def _living(self) -> set[str]:
        return living_owners(self.study.storage.engine, self.lease.study)
