"""What did not come to its end, and why, in the store's own words."""

from __future__ import annotations

from reports.evidence import Evidence, StudyEvidence
from reports.section import Section, paragraph, table
from storage.record import StudyEvent

LEAD = (
    "Trials that diverged, crashed or ended themselves, and what the others warned of. Early stopping by ASHA is no "
    "failure and only counted."
)
EXPECTED = (None, "complete", "asha")
INTERRUPTIONS = ("interrupted", "taken_away", "unwritten")  # after which a trial goes on as if nothing had been
RETRIED = "tried again in"  # a part of what is said of an attempt that failed and was not the last
SENTENCE_LENGTH = 300


def build(evidence: Evidence) -> Section:
    studies = evidence.studies
    rows = [row for study in studies for row in _rows(study)]
    pruned = sum(record.reason == "asha" for study in studies for record in study.records)
    pieces = [paragraph(f"Stopped early by ASHA: {pruned}.")]
    if rows:
        pieces.append(table(("study", "trial", "state", "reason", "what happened"), rows))
    else:
        pieces.append(paragraph("No trial failed."))
    warnings = [row for study in studies for row in _warnings(study)]
    if warnings:
        pieces.append(table(("study", "trials", "warning", "for example"), warnings))
    else:
        pieces.append(paragraph("No trial warned of a dead block, even attention, a shut gate or flat predictions."))
    if interruptions := [row for study in studies for row in _interruptions(study)]:
        pieces.append(table(("study", "trials", "interruption", "for example"), interruptions))
    if out_of_memory := sum(r.attributes.get("oom_events", 0) for study in studies for r in study.records):
        pieces.append(paragraph(f"Steps that did not fit in memory and were taken again in pieces: {out_of_memory}."))
    return Section("failures", "Failures and warnings", LEAD, tuple(pieces))


def _warnings(study: StudyEvidence) -> list[tuple[object, ...]]:
    """One row per kind of warning: how many trials had it, and what the first one said."""
    cases = [
        StudyEvent(record.number, *str(warning).split(": ", 1))
        for record in study.records
        for warning in record.attributes.get("warnings", [])
    ]
    return _by_kind(study, cases)


def _interruptions(study: StudyEvidence) -> list[tuple[object, ...]]:
    """One row per kind of interruption, of which the trials' own records say nothing: retries are among them."""
    told = [event for event in study.events if event.kind in INTERRUPTIONS or RETRIED in event.message]
    return _by_kind(study, told)


def _by_kind(study: StudyEvidence, cases: list[StudyEvent]) -> list[tuple[object, ...]]:
    told: dict[str, list[StudyEvent]] = {}
    for case in cases:
        told.setdefault(case.kind, []).append(case)
    return [
        (study.name, len({case.number for case in of}), kind, f"trial {of[0].number}: {of[0].message}")
        for kind, of in sorted(told.items())
    ]


def _rows(study: StudyEvidence) -> list[tuple[object, ...]]:
    return [
        (
            study.name,
            r.number,
            r.state,
            r.reason,
            str(r.attributes.get("sentence", "")).split("\n")[0][:SENTENCE_LENGTH],
        )
        for r in study.records
        if r.reason not in EXPECTED
    ]
