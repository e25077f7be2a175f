"""First screen: what was tried, what came out, and how far to believe it."""

from __future__ import annotations

import html

import yaml

from reports.evidence import Evidence, StudyEvidence
from reports.judged import judge, word
from reports.section import Section, paragraph, signed, table
from storage.record import TrialRecord


def build(evidence: Evidence) -> Section:
    about = evidence.any_study.attributes
    market = about.get("market", {})
    lead = (
        f"{about.get('panel_name', 'panel')}: {about.get('num_stocks', '?')} stocks, "
        f"{market.get('first_date')} to {market.get('last_date')}; "
        f"hold-out from {about.get('holdout_from') or '(none)'}, which nothing here has read."
    )
    rows = [_counts(study) for study in evidence.studies]
    pieces = [
        *_changes(evidence),
        *_best(evidence),
        table(("study", "COMPLETE", "PRUNED", "FAIL", "unfinished"), rows),
        *_confirm_words(evidence),
    ]
    return Section("summary", "Summary", lead, tuple(pieces))


def _changes(evidence: Evidence) -> list[str]:
    """What a reader must know before he compares anything."""
    studies = evidence.studies
    told = [f"Changed and accepted: {change}" for study in studies for change in study.accepted]
    earlier = {study.name: len(study.records) - len(study.compared) for study in studies}
    told += [
        f"{name}: {number} earlier trials are about other data, folds or objectives; they are listed, and compared "
        f"with nothing."
        for name, number in earlier.items()
        if number
    ]
    if not evidence.are_of_the_same:
        told.append("Search and confirm are about different data or folds: run --stage confirm with the same panel.")
    return [*map(paragraph, told)]


def _counts(study: StudyEvidence) -> tuple[object, ...]:
    finished = [study.count(state) for state in ("COMPLETE", "PRUNED", "FAIL")]
    return study.name, *finished, len(study.records) - sum(finished)


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
        *_reference_words(evidence),
    ]


def _reference_words(evidence: Evidence) -> list[str]:
    """What the reference scored in the same search, where its point was among the trials."""
    if evidence.search is None or evidence.confirm is None:
        return []
    arms = evidence.confirm.attributes.get("definition", {}).get("arms", {})
    wanted = arms.get(evidence.confirm.attributes["reference_arm"])
    for record in evidence.search.records:
        if wanted and record.attributes.get("config_hash") == wanted and record.curve:
            last = record.curve[-1]
            return [
                paragraph(
                    f"The reference configuration was trial {record.number} of this search: RankIC "
                    f"{signed(last['value'])} at epoch {last['epoch']} ({record.state}). The confirm arms vary the "
                    f"reference, not the best trial; they ran on later days and were not chosen."
                )
            ]
    return []


def _configuration(record: TrialRecord) -> str:
    text = html.escape(yaml.safe_dump(record.config, sort_keys=False))
    return f"<details><summary>Its whole configuration</summary><pre>{text}</pre></details>"


def _by_horizon(record: TrialRecord) -> dict[str, float]:
    prefix = "valid/rank_ic/"
    metrics = record.curve[-1]["metrics"]
    return {key.removeprefix(prefix): value for key, value in metrics.items() if key.startswith(prefix)}


def _confirm_words(evidence: Evidence) -> list[str]:
    if evidence.confirm is None:
        return [paragraph("The confirm stage was not run (--stage both or confirm runs it).")]
    reference = evidence.confirm.attributes["reference_arm"]
    values = [r.value for r in evidence.confirm.records if r.arm == reference and r.value is not None]
    words = []
    if values:
        mean = sum(values) / len(values)
        words.append(
            paragraph(f"Reference on the confirm folds: RankIC {signed(mean)}, mean of {len(values)} seed-fold cells.")
        )
    return [*words, paragraph(_verdicts(evidence))]


def _verdicts(evidence: Evidence) -> str:
    judged = judge(evidence.confirm)
    if isinstance(judged, str):
        return f"Undecided: {judged}."
    if not judged.verdicts:
        return "Exploratory, no verdict: no arm has a tuning of its own."
    told = [f"{arm}: {word(verdict)}" for arm, verdict in judged.verdicts.items()]
    return f"Verdicts, each arm with a tuning of its own against the reference with its own: {'; '.join(told)}."
