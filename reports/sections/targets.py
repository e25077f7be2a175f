"""What was aimed at, RankIC +5 % and Sharpe ratio +10 % over the reference, against what later days gave."""

from __future__ import annotations

from typing import Any

import numpy as np

from reports.deployment import find_winner
from reports.evidence import Evidence
from reports.inference.effect import effect
from reports.inference.verdict import ALPHA
from reports.judged import judge
from reports.section import Section, nothing, paragraph, signed, table

TITLE = "Aims"
LEAD = (
    "The system was built for a RankIC 5 % and a Sharpe ratio 10 % above what there was. Here the winner of the search "
    "against the reference, both on the confirm folds with common seeds; exploratory."
)
REACHED = (
    "Reached, yes or no, is said where the 95 % interval of what exceeds the aim lies on one side of zero, day by day "
    "on the same days; that of the Sharpe ratio takes the deviations as known and holds no seeds."
)
SHARPE = "Sharpe ratio, long and short after costs"
RANK_IC_AIM, SHARPE_AIM = 0.05, 0.10
HEADINGS = ("figure", "reference", "winner", "change", "aim", "reached")


def build(evidence: Evidence) -> Section:
    winner, judged = find_winner(evidence), judge(evidence.confirm)
    if isinstance(winner, str) or isinstance(judged, str):
        return nothing("targets", TITLE, LEAD, str(winner if isinstance(winner, str) else judged))
    if winner.arm not in judged.pairs:
        return Section("targets", TITLE, LEAD, (paragraph("The best of the search is the reference itself."),))
    if (less := judged.all_effects.get(winner.arm)) is None:
        return nothing("targets", TITLE, LEAD, "the winner and the reference have no seeds in common that ended")
    mean = winner.confirm.level.mean
    low, high = less.interval(1 - ALPHA)
    base = mean - less.mean
    rows = [_row("mean daily RankIC", base, mean, RANK_IC_AIM, (low - RANK_IC_AIM * base, high - RANK_IC_AIM * base))]
    before, after = _long_short(evidence.reference_backtest), _long_short(evidence.backtest)
    rows.append(
        _row(
            "Sharpe ratio, long and short after costs",
            _sharpe(before),
            _sharpe(after),
            SHARPE_AIM,
            _beyond(before, after),
        )
    )
    told = f"Winner minus reference: {signed(less.mean)} ({signed(low)} .. {signed(high)}), 95 % of that number alone."
    return Section("targets", TITLE, LEAD, (table(HEADINGS, rows), paragraph(told), paragraph(REACHED)))


def _row(
    name: str, reference: float | None, winner: float | None, aim: float, beyond: tuple[float, float] | None
) -> tuple[str, ...]:
    """A change is relative; of a reference that is not above zero there is none. `beyond`: of what exceeds the aim."""
    change = None if reference is None or winner is None or reference <= 0 else winner / reference - 1
    if change is None or beyond is None:
        reached = "not known"
    else:
        reached = "yes" if beyond[0] > 0 else "no" if beyond[1] < 0 else "cannot be told"
    return name, signed(reference), signed(winner), "–" if change is None else f"{change:+.0%}", f"{aim:+.0%}", reached


def _beyond(reference: dict[str, Any] | None, winner: dict[str, Any] | None) -> tuple[float, float] | None:
    """95 % interval of a day's ratio beyond the aim, the deviations taken as known."""
    if reference is None or winner is None:
        return None
    days = sorted(reference["net"].keys() & winner["net"].keys())
    own, other = (np.array([side["net"][day] for day in days]) for side in (winner, reference))
    if len(days) < 2 or not own.std() or not other.std():
        return None
    daily = own / own.std() - (1 + SHARPE_AIM) * other / other.std()
    return effect(np.stack([daily, daily]), 1).interval(1 - ALPHA)


def _long_short(found: dict[str, Any] | None) -> dict[str, Any] | None:
    return (found or {}).get("sides", {}).get("long_short")


def _sharpe(side: dict[str, Any] | None) -> float | None:
    return None if side is None else side["sharpe"]
