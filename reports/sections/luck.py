"""How much of the search's best score is the luck of looking often."""

from __future__ import annotations

from reports.evidence import Evidence
from reports.inference.overfitting import Overfitting
from reports.luck import ASKED_RATIO, Deflated, Luck, measure_luck
from reports.section import Section, in_days, nothing, paragraph, table

TITLE = "The luck of the search"
LEAD = (
    "Daily RankIC on the search fold, taken as returns are: the ratio is mean over long-run deviation, so that "
    "overlapping labels do not flatter it. It describes the search and decides nothing: the confirm folds do."
)
TRIED = ("counted as", "N", "the best of N without skill, annual ratio", "deflated ratio (1 - p, of no skill)")


def build(evidence: Evidence) -> Section:
    found = measure_luck(evidence)
    if isinstance(found, str):
        return nothing("luck", TITLE, LEAD, found)
    rows = [
        _row("every configuration scored on this market", found.raw),
        _row(f"independent ones, at a mean correlation of {found.correlation:.2f}", found.effective),
    ]
    pieces = (
        paragraph(
            f"Trial {found.trial}, the best of {found.num_complete} COMPLETE: annual information ratio "
            f"{found.ratio:+.2f} at {in_days(found.horizon)} over {found.num_days} days (t {found.t_value:+.2f}, "
            f"{found.degrees} degrees of freedom), before it is deflated:"
        ),
        table(TRIED, rows),
        paragraph(_history(found)),
        paragraph(_overfitting(found.overfitting)),
        paragraph(_superior(found)),
    )
    return Section("luck", TITLE, LEAD, pieces)


def _row(name: str, deflated: Deflated) -> tuple[str, ...]:
    return name, f"{deflated.num_trials:.1f}", f"{deflated.expected:+.2f}", f"{deflated.probability:.3f}"


def _history(found: Luck) -> str:
    return (
        f"Minimum backtest length: {found.years:.1f} years, or the best of {found.raw.num_trials:.0f} without skill is "
        f"expected to show an annual ratio of {ASKED_RATIO:g}; the search fold has {found.num_days / 252:.1f}"
        + (", so that its best proves nothing." if found.num_days / 252 < found.years else ".")
    )


def _overfitting(found: Overfitting | str) -> str:
    if isinstance(found, str):
        return f"Probability of backtest overfitting: {found}."
    return (
        f"Probability of backtest overfitting: {found.probability:.0%}, the share of halvings of the search fold in "
        f"which the best of one half is below the median in the other ({found.num_configurations} configurations, "
        f"{found.num_blocks} blocks of {found.block_days} days); {found.low:.0%} to {found.high:.0%} where no "
        f"configuration is better than another. A description, not a gate."
    )


def _superior(found: Luck) -> str:
    if not found.superior:
        return "Superior predictive ability: not computed, because no simple predictor was fitted on the search fold."
    told = ", ".join(f"{name} {p:.3f}" for name, p in found.superior.items())
    return f"Superior predictive ability (Hansen 2005), chance of so good a best if none were better than: {told}."
