"""What did not come to its end, and why, in the store's own words."""

from __future__ import annotations

from reports.evidence import Evidence, StudyEvidence
from reports.section import Section, paragraph, table

LEAD = "Trials that diverged, crashed or ended themselves. Early stopping by ASHA is no failure and only counted."
EXPECTED = (None, "complete", "asha")
SENTENCE_LENGTH = 300


def build(evidence: Evidence) -> Section:
    studies = [study for study in (evidence.search, evidence.confirm) if study is not None]
    rows = [row for study in studies for row in _rows(study)]
    pruned = sum(record.reason == "asha" for study in studies for record in study.records)
    pieces = [paragraph(f"Stopped early by ASHA: {pruned}.")]
    if rows:
        pieces.append(table(("study", "trial", "state", "reason", "what happened"), rows))
    else:
        pieces.append(paragraph("No trial failed."))
    return Section("failures", "Failures", LEAD, tuple(pieces))


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
