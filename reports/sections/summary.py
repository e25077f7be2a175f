"""First screen: what was tried, what came out, and how far to believe it."""

from __future__ import annotations

import html

from reports.deployment import Winner, decide
from reports.evidence import Evidence
from reports.forest import verdict_forest
from reports.judged import judge
from reports.section import Section, paragraph, signed, table, with_interval
from reports.sections.backtest import break_even

EXPLORATORY = "Exploratory, no verdict: there are no confirm folds, so that arms are compared on the search's own days."
DESIGN = (
    '<p>Exploratory, no verdict: the arms are one design, and <a href="#interactions">its effects</a> are below.</p>'
)
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
    pieces = [*_changes(evidence), *_deploy(evidence), *_verdicts(evidence), _strip(evidence)]
    return Section("summary", "Summary", lead, tuple(pieces))


def _deploy(evidence: Evidence) -> list[str]:
    """The answer first, then what the search promised and what later days kept."""
    found = decide(evidence)
    answer = f'<p class="headline">Deploy: <strong>{found.decision}</strong>, because {html.escape(found.why)}.</p>'
    if found.winner is None:
        return [answer]
    winner = found.winner
    pieces = [answer, _standings(winner)]
    if told := [*_expected(winner), *_traded(evidence)]:
        pieces.append(paragraph(" ".join(told)))
    if found.awaits_holdout:
        pieces.append(
            f"<p>Next, once and for all: <code>python -m trial.holdout {html.escape(evidence.name)}</code></p>"
        )
    return pieces


def _expected(winner: Winner) -> list[str]:
    if winner.luck is None:
        return []
    return [
        f"The search promised {signed(winner.search)}; {signed(winner.luck)} of it was luck, or of its days. Expect "
        f"{with_interval(winner.confirm.level)}."
    ]


def _traded(evidence: Evidence) -> list[str]:
    if evidence.backtest is None or "sides" not in evidence.backtest:
        return []
    both, cost = evidence.backtest["sides"]["long_short"], evidence.backtest["cost_bps"]
    return [
        f"Long and short on the confirm folds: {both['annual_return']:+.1%} a year after {cost:g} basis points one "
        f"way; it breaks even at {break_even(both)}."
    ]


def _standings(winner: Winner) -> str:
    """Winner and simple predictors, on the days it was chosen on and on those it was not."""
    headings = [f"RankIC at {winner.horizon} days", "search fold", "confirm folds, 95 %", "winner minus it, 95 %"]
    rows = [[f"winner ({winner.arm})", signed(winner.search), with_interval(winner.confirm.level), ""]]
    for name, level in winner.confirm.levels.items():
        rows.append([name, "", with_interval(level), with_interval(winner.confirm.less[name])])
    if winner.holdout is not None:
        headings += ["hold-out, 95 %", "winner minus it, 95 %"]
        rows[0] += [with_interval(winner.holdout.level), ""]
        for row in rows[1:]:
            there = (winner.holdout.levels.get(row[0]), winner.holdout.less.get(row[0]))
            row += [with_interval(each) if each is not None else "" for each in there]
    return table(headings, rows)


def _strip(evidence: Evidence) -> str:
    """What the numbers have to be read beside."""
    unscored = sum(not r.curve and r.state in ENDED for study in evidence.studies for r in study.records)
    failed = sum(study.count("FAIL") for study in evidence.studies)
    seen = "not known" if evidence.tried is None else str(evidence.tried.configurations)
    reads = "not known" if evidence.tried is None else str(evidence.tried.holdout_reads)
    return table(
        ("configurations tried on this market", "trials without a score", "failures", "reads of the hold-out"),
        [(seen, unscored, failed, reads)],
    )


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
    if not judged.verdicts:
        is_design = evidence.confirm is not None and evidence.confirm.attributes.get("design") is not None
        return [DESIGN if is_design else paragraph("Exploratory, no verdict: no arm has a tuning of its own.")]
    told = f"Each switch turned off, against the reference, both as tuned; daily RankIC at {judged.horizon} days."
    return [paragraph(EXPLORATORY if judged.is_exploratory else told), verdict_forest(judged)]
