"""Which switches need each other: the effects of a factorial design."""

from __future__ import annotations

from reports.evidence import Evidence
from reports.factorial import FactorialEffect, FactorialFindings, factorial_findings
from reports.forest import Row, forest
from reports.inference.verdict import ALPHA
from reports.judged import equivalence_of
from reports.section import Section, in_days, nothing, paragraph, probability, table, with_interval

TITLE = "Interactions"
LEAD = (
    "Exploratory. Switches turned together, in few combinations that tell their effects apart: of a switch, daily "
    "RankIC with it minus without it, over all settings of the others; of a pair, half of what one gains by the other. "
    "All combinations have the reference's hyper-parameters. Bars are 95 % intervals of each effect alone; p is "
    "Benjamini and Hochberg's over all of them."
)


def build(evidence: Evidence) -> Section:
    found = factorial_findings(evidence.confirm)
    if isinstance(found, str):
        return nothing("interactions", TITLE, LEAD, found)
    assert evidence.confirm is not None, "it has a design"
    rows = {each.name: _bar(each) for each in found.effects}
    pieces = (
        paragraph(_told(evidence.confirm.attributes["design"], found)),
        forest(rows, equivalence_of(evidence.confirm), "95 % of the effect alone", "effects of switches and pairs"),
        table(
            ("effect", "daily RankIC, 95 %", "p", "in words", "cannot be told from"),
            [
                (each.name, with_interval(each.effect), probability(each.adjusted_p), each.in_words, _aliases(each))
                for each in found.effects
            ],
        ),
    )
    return Section("interactions", TITLE, LEAD, pieces)


def _told(design: dict[str, dict[str, str]], found: FactorialFindings) -> str:
    number = len(design["factors"])
    lost = f" {found.num_missing} more seeds lack a run." if found.num_missing else ""
    switches = "; ".join(f"{name}: {summary}" for name, summary in design["factors"].items())
    return (
        f"{found.num_runs} of the {2**number} combinations of {number} switches, {found.effects[0].effect.num_seeds} "
        f"seeds, {found.num_days} days, RankIC at {in_days(found.horizon)}.{lost} {switches}."
    )


def _bar(found: FactorialEffect) -> Row:
    return Row(found.effect.mean, *found.effect.interval(1 - ALPHA), found.seeds_S)


def _aliases(found: FactorialEffect) -> str:
    """Higher interactions, which are taken to be none."""
    return "; ".join(found.aliases) or "nothing"
