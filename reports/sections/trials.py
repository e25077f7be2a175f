"""Every search trial with its parameters, the best first."""

from __future__ import annotations

from reports.evidence import Evidence
from reports.section import Section, paragraph, short, signed, table

LEAD = "All search trials; parameters of a block that is off do not exist."


def build(evidence: Evidence) -> Section:
    if evidence.search is None or not evidence.search.records:
        return Section("trials", "Trials", LEAD, (paragraph("Nothing to show: there is no search trial."),))
    records = sorted(evidence.search.records, key=lambda r: -r.value if r.value is not None else float("inf"))
    names = list(dict.fromkeys(name for r in records for name in r.params))
    rows = [
        (
            r.number,
            r.state,
            signed(r.value),
            len(r.curve),
            _seconds(r.attributes),
            *(short(r.params.get(n)) for n in names),
        )
        for r in records
    ]
    body = table(("trial", "state", "RankIC", "epochs", "seconds", *names), rows)
    return Section("trials", "Trials", LEAD, (body,))


def _seconds(attributes: dict[str, object]) -> str | None:
    seconds = attributes.get("wall_seconds")
    return f"{seconds:.1f}" if isinstance(seconds, float) else None
