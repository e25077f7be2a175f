"""What the sweep took: attempts, hours, and what was done twice."""

from __future__ import annotations

from collections import Counter

from reports.evidence import Evidence, StudyEvidence
from reports.section import Section, nothing, table

TITLE = "Cost"
LEAD = (
    "All attempts at all trials, pruned, failed and repeated ones too. Hours of workers count waiting; hours of "
    "training do not. Memory is the largest of any trial."
)
HEADINGS = (
    "study",
    "attempts",
    "worker hours",
    "training hours",
    "GPU hours",
    "peak memory",
    "out of memory",
    "tried again",
)


def build(evidence: Evidence) -> Section:
    rows = [_row(study, evidence) for study in evidence.studies if study.name in evidence.costs]
    if not rows:
        return nothing("cost", TITLE, LEAD, "no attempt at a trial is over")
    return Section("cost", TITLE, LEAD, (table(HEADINGS, rows),))


def _row(study: StudyEvidence, evidence: Evidence) -> tuple[str, ...]:
    cost = evidence.costs[study.name]
    peaks = [record.attributes.get("peak_memory_mib") or 0 for record in study.records]
    memory = sum(record.attributes.get("oom_events", 0) for record in study.records)
    retries: Counter[str] = Counter()
    for record in study.records:
        retries.update(record.attributes.get("retries", {}))
    hours = (f"{seconds / 3600:.2f}" for seconds in (cost.wall_seconds, cost.train_seconds, cost.gpu_seconds))
    again = ", ".join(f"{kind} {count}" for kind, count in retries.items()) or "0"
    return study.name, str(cost.attempts), *hours, f"{max(peaks, default=0):.0f} MiB", str(memory), again
