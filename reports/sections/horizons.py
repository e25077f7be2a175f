"""The winner's daily RankIC at every horizon, beside simple predictors."""

from __future__ import annotations

from reports.deployment import Standing, find_winner, standing_at
from reports.evidence import Evidence
from reports.section import Section, in_days, nothing, table, with_interval

TITLE = "Horizons"
LEAD = (
    "Daily RankIC of the winner on the confirm folds at every horizon, with 95 % intervals of that number alone, and "
    "its lead on simple predictors. The verdict goes by one horizon, named before; the others are exploratory."
)


def build(evidence: Evidence) -> Section:
    winner = find_winner(evidence)
    if isinstance(winner, str) or evidence.confirm is None:
        return nothing("horizons", TITLE, LEAD, str(winner))
    horizons = [int(horizon) for horizon in evidence.confirm.attributes["horizons"]]
    known = {h: standing_at(evidence, winner.arm, h) for h in horizons}
    standings = {h: one for h, one in known.items() if one is not None}
    names = list(dict.fromkeys(name for one in standings.values() for name in one.less))
    headings = ("horizon", "winner", *(f"minus {name}" for name in names))
    rows = [_row(in_days(h) + (" *" if h == winner.horizon else ""), one, names) for h, one in standings.items()]
    return Section("horizons", TITLE, f"{LEAD} * marks the one that decides.", (table(headings, rows),))


def _row(name: str, one: Standing, names: list[str]) -> tuple[str, ...]:
    minus = (with_interval(one.less[other]) if other in one.less else "" for other in names)
    return name, with_interval(one.level), *minus
