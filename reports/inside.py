"""What the winner's network looked at, as its trial told it (`trial/inside.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reports.evidence import Evidence
from storage.record import TrialRecord


@dataclass(frozen=True)
class Inside:
    """Of one confirm trial."""

    record: TrialRecord
    content: dict[str, Any]

    @property
    def in_words(self) -> str:
        dates = ", ".join(self.content["dates"])
        own = self.record
        return f"Trial {own.number} of the confirm stage ({own.arm}, seed {own.seed}), on {dates}."


def find_inside(evidence: Evidence) -> Inside | str:
    """Of the winner where one was confirmed, else of the reference; on the latest fold. Or in words why not."""
    confirm = evidence.confirm
    if confirm is None:
        return "the confirm stage was not run"
    winner = confirm.attributes.get("winner") or {}
    for arm in (winner.get("arm"), confirm.attributes.get("reference_arm")):
        own = [record for record in confirm.compared if record.arm == arm and record.state == "COMPLETE"]
        known = [Inside(record, content) for record in own if (content := record.curve[-1].get("inside"))]
        if known:
            return max(known, key=lambda one: (one.content["dates"], one.record.number))
    return "no confirm trial of the winner or the reference has told it"
