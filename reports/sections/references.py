"""The search's winner beside simple predictors, on the same confirm days and labels."""

from __future__ import annotations

from reports.deployment import find_winner
from reports.evidence import Evidence
from reports.inference.effect import Effect
from reports.inference.verdict import ALPHA
from reports.section import Section, nothing, paragraph, signed, table

TITLE = "Winner against simple predictors"
LEAD = (
    "Daily RankIC at {horizon} trading days on the confirm folds, and the winner's minus each: intervals are 95 %, of "
    "that line alone, and carry overlapping labels and seeds. Ridge and LightGBM see the last day's features; "
    "last_value ranks by the latest return that was over, random is the mean of fifty lots. Exploratory."
)
HEADINGS = ("predictor", "RankIC", "95 % low", "95 % high", "winner minus it", "95 % low", "95 % high")


def build(evidence: Evidence) -> Section:
    winner = find_winner(evidence)
    if isinstance(winner, str):
        return nothing("references", TITLE, "On the same days and labels.", winner)
    if not winner.confirm.levels:
        return nothing(
            "references",
            TITLE,
            "On the same days and labels.",
            "no simple predictor was fitted; the next start of the sweep does it",
        )
    rows = [_row(f"{winner.arm} (the best of the search)", winner.confirm.level, None)]
    rows += [_row(name, level, winner.confirm.less[name]) for name, level in winner.confirm.levels.items()]
    told = f"{winner.confirm.level.num_days} days, {winner.confirm.level.num_seeds} seeds."
    lead = LEAD.format(horizon=winner.horizon)
    return Section("references", TITLE, lead, (paragraph(told), table(HEADINGS, rows)))


def _row(name: str, level: Effect, less: Effect | None) -> tuple[str, ...]:
    own = (signed(level.mean), *map(signed, level.interval(1 - ALPHA)))
    other = ("", "", "") if less is None else (signed(less.mean), *map(signed, less.interval(1 - ALPHA)))
    return name, *own, *other
