"""First screen: what was tried, what came out, and how far to believe it."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from reports.deployment import TO_BEAT, Deployment, Winner, decide
from reports.evidence import Evidence
from reports.forest import verdict_forest
from reports.inference.effect import MIN_SEEDS, Effect, effect
from reports.inference.verdict import ALPHA
from reports.judged import Judged, judge, provisional
from reports.next_step import next_step
from reports.section import Section, in_days, paragraph, signed, table, with_interval
from reports.sections.backtest import break_even

EXPLORATORY = "Exploratory, no verdict: there are no confirm folds, so that arms are compared on the search's own days."
DESIGN = (
    '<p>Exploratory, no verdict: the arms are one design, and <a href="#interactions">its effects</a> are below.</p>'
)
DAYS_A_YEAR = 252
ENDED = ("COMPLETE", "PRUNED", "FAIL")


def build(evidence: Evidence) -> Section:
    about = evidence.any_study.attributes
    market = about.get("market", {})
    lead = (
        f"{about.get('panel_name', 'panel')}: {about.get('num_stocks', '?')} stocks, "
        f"{market.get('first_date')} to {market.get('last_date')}; "
        f"hold-out from {about.get('holdout_from') or '(none)'}, "
        + ("which nothing here has read." if evidence.holdout is None else "which was read for the winner alone.")
    )
    found = decide(evidence)
    pieces = [*_changes(evidence), _answer(evidence, found), _strip(evidence), *_numbers(evidence, found)]
    pieces += _verdicts(evidence)
    return Section("summary", "Summary", lead, tuple(pieces))


def _answer(evidence: Evidence, found: Deployment) -> str:
    """The answer first, and what to do about it."""
    step = next_step(evidence, found)
    return (
        f'<p class="headline">Deploy: <strong>{found.decision}</strong>, because {html.escape(found.why)}.</p>'
        f"<p>Next: <code>{html.escape(step.command)}</code> {html.escape(step.purpose)}.</p>"
    )


def _numbers(evidence: Evidence, found: Deployment) -> list[str]:
    """What the search promised and what later days kept."""
    if found.winner is None:
        return []
    told = [*_expected(found.winner), *_traded(evidence)]
    return [_standings(evidence, found.winner), *([paragraph(" ".join(told))] if told else [])]


def _expected(winner: Winner) -> list[str]:
    if winner.luck is None:
        return []
    later = winner.confirm.level if winner.holdout is None else winner.holdout.level
    days = "confirm folds" if winner.holdout is None else "hold-out, which no choice has seen"
    return [
        f"The search promised {signed(winner.search)}; later days kept {signed(winner.confirm.level.mean)}. Expect "
        f"{with_interval(later)}, as on the {days}."
    ]


def _traded(evidence: Evidence) -> list[str]:
    if evidence.backtest is None or "sides" not in evidence.backtest:
        return []
    both, cost = evidence.backtest["sides"]["long_short"], evidence.backtest["cost_bps"]
    return [
        f"Long and short on the confirm folds: {both['annual_return']:+.1%}{_give_or_take(both)} a year after "
        f"{cost:g} basis points one way, on one path of one market; it breaks even at {break_even(both)}."
    ]


def _standings(evidence: Evidence, winner: Winner) -> str:
    """Winner and simple predictors, on the days it was chosen on and on those it was not."""
    headings = [
        f"RankIC at {in_days(winner.horizon)}, 95 %",
        "search fold",
        "confirm folds",
        "winner minus it",
    ]
    found = winner.search_level
    own = signed(winner.search) if found is None else with_interval(found)
    rows = [[_named(winner.arm), own, with_interval(winner.confirm.level), ""]]
    for name in sorted(winner.confirm.levels, key=_place):
        level = winner.confirm.levels[name]
        searched = winner.search_levels.get(name)
        rows.append([name, _shown(searched), with_interval(level), with_interval(winner.confirm.less[name])])
    if winner.holdout is not None:
        headings += ["hold-out", "winner minus it there"]
        rows[0] += [with_interval(winner.holdout.level), ""]
        for row in rows[1:]:
            row += [_shown(winner.holdout.levels.get(row[0])), _shown(winner.holdout.less.get(row[0]))]
    return table(headings, rows)


def _place(name: str) -> tuple[int, str]:
    """Those to beat come first."""
    return (TO_BEAT.index(name) if name in TO_BEAT else len(TO_BEAT)), name


def _named(arm: str) -> str:
    return "winner of the search" if arm == "winner" else f"winner of the search: {arm}"


def _shown(found: Effect | None) -> str:
    return "" if found is None else with_interval(found)


def _strip(evidence: Evidence) -> str:
    """What the numbers have to be read beside, in a line."""
    unscored = sum(not r.curve and r.state in ENDED for study in evidence.studies for r in study.records)
    failed = sum(study.count("FAIL") for study in evidence.studies)
    tried, about = evidence.tried, evidence.any_study.attributes
    parts = [
        "configurations tried on this market: " + ("not known" if tried is None else f"<b>{tried.configurations}</b>"),
        f"trials without a score: <b>{unscored}</b>",
        f"failures: <b>{failed}</b>",
        _burnt(evidence, about.get("holdout_from")),
        f"exploratory: <b>{_why_exploratory(evidence)}</b>",
    ]
    return f'<p class="strip">{" &middot; ".join(parts)}</p>'


def _burnt(evidence: Evidence, holdout_from: str | None) -> str:
    """How often days were read that nobody may choose by."""
    if holdout_from is None:
        return "hold-out: <b>none</b>"
    reads = "not known" if evidence.tried is None else f"{evidence.tried.holdout_reads}"
    days = _held_out_days(evidence)
    burnt = "" if evidence.tried is None or not evidence.tried.holdout_reads else f", {days} burnt"
    return f"reads of the hold-out: <b>{reads}{burnt}</b>"


def _held_out_days(evidence: Evidence) -> str:
    days = (
        {day for r in evidence.holdout.records for day in (r.curve[-1]["daily_rank_ic"] if r.curve else ())}
        if (evidence.holdout is not None)
        else set()
    )
    return f"its {len(days)} days" if days else "its days"


def _why_exploratory(evidence: Evidence) -> str:
    """Whether a verdict could be given at all, in a word or two."""
    judged = judge(evidence.confirm)
    if isinstance(judged, str):
        return "yes, nothing is confirmed"
    if judged.is_exploratory:
        return "yes, no confirm folds"
    seeds = min((len(pair.d_ST) for pair in judged.pairs.values()), default=0)
    return f"yes, {seeds} of {MIN_SEEDS} seeds" if seeds < MIN_SEEDS else "no"


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


def _verdicts(evidence: Evidence) -> list[str]:
    """Of the arms with a tuning of their own, as a picture; in words where there is none."""
    judged = judge(evidence.confirm)
    if isinstance(judged, str):
        return [paragraph(f"Undecided: {judged}.")]
    if not judged.family_size:
        is_design = evidence.confirm is not None and evidence.confirm.attributes.get("design") is not None
        return [DESIGN if is_design else paragraph("Exploratory, no verdict: no arm has a tuning of its own.")]
    told = (
        f"Each switch turned off, minus the reference, both as tuned; RankIC at {in_days(judged.horizon)}. Left of 0 "
        f"it is missed; in the grey band, {judged.equivalence:g} either side, nobody would act on it."
    )
    told = EXPLORATORY if judged.is_exploratory else told
    pictured = [verdict_forest(judged)] if judged.verdicts else []
    beside = [*_without_effect(judged), _arms(evidence, [*judged.words])]
    return [*provisional(judged), paragraph(told), *pictured, *beside]


def _without_effect(judged: Judged) -> list[str]:
    """Of arms that cannot be drawn."""
    return [paragraph(f"{arm}: {judged.words[arm]}.") for arm in judged.missing]


def _arms(evidence: Evidence, names: list[str]) -> str:
    """What was turned off, for a reader who does not know the space."""
    summaries = evidence.any_study.attributes.get("arm_summaries", {})
    if evidence.confirm is not None:
        summaries = evidence.confirm.attributes.get("arm_summaries", summaries)
    told = "; ".join(f"<b>{html.escape(name)}</b> {html.escape(str(summaries.get(name, '')))}" for name in names)
    return f'<p class="lead">{told}.</p>'


def _give_or_take(side: dict[str, Any]) -> str:
    """Half of the 95 % interval of a year's mean, as far as the days can tell."""
    daily = np.array(list(side.get("net", {}).values()))
    if len(daily) < 2:
        return ""
    low, high = effect(np.stack([daily, daily]), 1).interval(1 - ALPHA)
    return f" (give or take {(high - low) / 2 * DAYS_A_YEAR:.0%}, 95 %)"
