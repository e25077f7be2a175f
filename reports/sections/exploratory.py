"""Arms that have the reference's hyper-parameters, placebos, and the search's winner: worth a look, no verdict."""

from __future__ import annotations

from reports.evidence import Evidence
from reports.forest import Row, forest
from reports.inference.verdict import ALPHA
from reports.judged import Exploratory, judge
from reports.section import Section, nothing, paragraph, probability, signed, table
from reports.sizes import shown_parameters

TITLE = "Fixed arms and placebos"
LEAD = (
    "Exploratory. These arms have the reference's hyper-parameters, which were tuned with the switch on: a loss says "
    "at most that this tuning needs it. A placebo keeps the block and takes away what it works on: what the reference "
    "is better by is what that is worth. The bars are 95 % intervals of each arm alone; p is Benjamini and Hochberg's."
)


def build(evidence: Evidence) -> Section:
    judged = judge(evidence.confirm)
    if isinstance(judged, str):
        return nothing("exploratory", TITLE, LEAD, judged)
    if not judged.exploratory:
        return nothing("exploratory", TITLE, LEAD, "every arm was retuned, or belongs to a design")
    assert evidence.confirm is not None, "it was judged"
    about, found = evidence.confirm.attributes["arm_summaries"], judged.exploratory
    reference = shown_parameters(evidence.confirm, evidence.confirm.attributes["reference_arm"])
    rows = {
        arm: Row(each.effect.mean, *each.effect.interval(1 - ALPHA), judged.pairs[arm].d_ST.mean(axis=1))
        for arm, each in found.items()
    }
    pieces = (
        forest(rows, judged.equivalence, "95 % of the arm alone", "fixed arms and placebos minus reference"),
        table(
            ("arm", "kind", "mean", "95 % low", "95 % high", "p", "in words", "parameters", "what it turns"),
            [
                (arm, each.kind, *_row(each), shown_parameters(evidence.confirm, arm), about.get(arm, ""))
                for arm, each in found.items()
            ],
        ),
        paragraph(f"The reference has {reference} parameters."),
    )
    return Section("exploratory", TITLE, LEAD, pieces)


def _row(found: Exploratory) -> tuple[str, ...]:
    numbers = map(signed, (found.effect.mean, *found.effect.interval(1 - ALPHA)))
    return *numbers, probability(found.adjusted_p), found.in_words
