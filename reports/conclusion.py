"""What a sweep concludes, in lines for a terminal: winner, verdicts, what could be found, answer, next command."""

from __future__ import annotations

from reports.deployment import TO_BEAT, Deployment, decide
from reports.evidence import Evidence
from reports.judged import Judged, judge
from reports.next_step import next_step
from reports.section import in_days, with_interval

Line = tuple[str, str]
"""A label and what it says."""


def conclusion(evidence: Evidence) -> list[Line]:
    """In the order in which a person asks."""
    found, judged = decide(evidence), judge(evidence.confirm)
    step = next_step(evidence, found)
    return [
        *_winner(found),
        *(_verdicts(judged) if isinstance(judged, Judged) else []),
        ("deploy", f"{found.decision}, because {found.why}"),
        ("next", f"{step.command}   ({step.purpose})"),
    ]


def _winner(found: Deployment) -> list[Line]:
    if found.winner is None:
        return []
    confirm, horizon = found.winner.confirm, found.winner.horizon
    less = "".join(f"; minus {name} {with_interval(confirm.less[name])}" for name in TO_BEAT if name in confirm.less)
    days = f"{confirm.level.num_days} confirm days, {confirm.level.num_seeds} seeds"
    return [("confirmed", f"RankIC at {in_days(horizon)} {with_interval(confirm.level)} on {days}{less}")]


def _verdicts(judged: Judged) -> list[Line]:
    lines = []
    if judged.family_size:
        lines.append(("verdicts", "; ".join(f"{arm} {told}" for arm, told in judged.short_words.items())))
    if judged.detectable is not None:
        lines.append(("detectable", f"a true difference of {judged.detectable:.4f}, in four studies of five"))
    return lines
