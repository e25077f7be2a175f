"""The best trial of the search, its configuration, and how many trials ended how."""

from __future__ import annotations

import html

import yaml

from reports.evidence import Evidence, StudyEvidence
from reports.section import Section, paragraph, signed, table
from storage.record import TrialRecord

LEAD = "What TPE and early stopping came out with on the search fold, and the trials of every stage by their end."


def build(evidence: Evidence) -> Section:
    rows = [_counts(study) for study in evidence.studies]
    counts = table(("study", "COMPLETE", "PRUNED", "FAIL", "unfinished"), rows)
    return Section("best", "Best of the search", LEAD, (*_best(evidence), counts))


def _best(evidence: Evidence) -> list[str]:
    if evidence.search is None:
        return [paragraph("No search study: only the confirm stage was run.")]
    best = evidence.search.best
    if best is None:
        return [paragraph("No search trial is COMPLETE, so there is no best configuration.")]
    by_horizon = _by_horizon(best)
    states = [record.state for record in evidence.search.compared]
    complete, tried = states.count("COMPLETE"), len(states) - states.count("RUNNING") - states.count("WAITING")
    return [
        f'<p class="headline">Best search trial: <strong>{best.number}</strong>, RankIC '
        f"<strong>{signed(best.value)}</strong></p>",
        table([f"{h} d" for h in by_horizon], [[signed(v) for v in by_horizon.values()]]),
        _configuration(best),
        paragraph(
            f"It is the best of {tried} trials that competed on the search fold ({complete} COMPLETE), so part is "
            f"luck: expect less on days that no trial has seen."
        ),
    ]


def _configuration(record: TrialRecord) -> str:
    text = html.escape(yaml.safe_dump(record.config, sort_keys=False))
    return f"<details><summary>Its whole configuration</summary><pre>{text}</pre></details>"


def _by_horizon(record: TrialRecord) -> dict[str, float]:
    prefix = "valid/rank_ic/"
    metrics = record.curve[-1]["metrics"] if record.curve else {}
    return {key.removeprefix(prefix): value for key, value in metrics.items() if key.startswith(prefix)}


def _counts(study: StudyEvidence) -> tuple[object, ...]:
    finished = [study.count(state) for state in ("COMPLETE", "PRUNED", "FAIL")]
    return study.name, *finished, len(study.records) - sum(finished)
