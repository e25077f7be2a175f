"""What was aimed at, RankIC +5 % and Sharpe ratio +10 % over the reference, against what later days gave."""

from __future__ import annotations

from typing import Any

from reports.deployment import find_winner
from reports.evidence import Evidence
from reports.inference.verdict import ALPHA
from reports.judged import judge
from reports.section import Section, nothing, paragraph, signed, table

TITLE = "Aims"
LEAD = (
    "The system was built for a RankIC 5 % and a Sharpe ratio 10 % above what there was. Here the winner of the search "
    "against the reference, both on the confirm folds with common seeds; exploratory."
)
RANK_IC_AIM, SHARPE_AIM = 0.05, 0.10
HEADINGS = ("figure", "reference", "winner", "change", "aim", "reached")


def build(evidence: Evidence) -> Section:
    winner, judged = find_winner(evidence), judge(evidence.confirm)
    if isinstance(winner, str) or isinstance(judged, str):
        return nothing("targets", TITLE, LEAD, str(winner if isinstance(winner, str) else judged))
    if winner.arm not in judged.pairs:
        return Section("targets", TITLE, LEAD, (paragraph("The best of the search is the reference itself."),))
    mean, less = winner.confirm.level.mean, judged.all_effects[winner.arm]
    low, high = less.interval(1 - ALPHA)
    rows = [_row("mean daily RankIC", mean - less.mean, mean, RANK_IC_AIM)]
    before, after = _sharpe(evidence.reference_backtest), _sharpe(evidence.backtest)
    rows.append(_row("Sharpe ratio, long and short after costs", before, after, SHARPE_AIM))
    told = f"Winner minus reference: {signed(less.mean)} ({signed(low)} .. {signed(high)}), 95 % of that number alone."
    return Section("targets", TITLE, LEAD, (table(HEADINGS, rows), paragraph(told)))


def _row(name: str, reference: float | None, winner: float | None, aim: float) -> tuple[str, ...]:
    """A change is relative; of a reference that is not above zero there is none."""
    change = None if reference is None or winner is None or reference <= 0 else winner / reference - 1
    reached = "not known" if change is None else "yes" if change >= aim else "no"
    return name, signed(reference), signed(winner), "–" if change is None else f"{change:+.0%}", f"{aim:+.0%}", reached


def _sharpe(found: dict[str, Any] | None) -> float | None:
    sides = (found or {}).get("sides", {})
    return sides["long_short"]["sharpe"] if sides else None
