"""How many parameters each confirmed arm has: a placebo is fair where it has as many as what it stands beside."""

from __future__ import annotations

from reports.evidence import StudyEvidence


def parameters_of(confirm: StudyEvidence, arm: str) -> int | None:
    """Of the arm's newest COMPLETE trial; None where none told."""
    told = [
        record.curve[-1].get("vitals", {}).get("num_parameters")
        for record in confirm.compared
        if record.arm == arm and record.state == "COMPLETE" and record.curve
    ]
    return told[-1] if told else None


def shown_parameters(confirm: StudyEvidence, arm: str) -> str:
    """With thousands, or a dash."""
    number = parameters_of(confirm, arm)
    return "–" if number is None else f"{number:,}"
