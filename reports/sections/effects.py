"""What each switch does to daily skill, with a tuning of its own: the verdicts."""

from __future__ import annotations

import numpy as np

from reports.evidence import Evidence, StudyEvidence
from reports.inference.beside import bootstrap_interval, newey_west_interval
from reports.inference.effect import MIN_SEEDS, more_days, needs_seeds
from reports.inference.verdict import ALPHA, Verdict
from reports.judged import Judged, judge, provisional, word
from reports.section import Section, nothing, paragraph, probability, signed, table
from reports.sizes import shown_parameters

TITLE = "Effect of each switch on daily skill"
LEAD = (
    "Daily RankIC at {horizon} trading days, arm minus reference, on the same days with the same seeds: left of zero "
    "where turning the switch costs skill. Reference and arms tried the same points on the search fold, and each "
    "stands here at its own best. The bars are 95 % intervals that hold for all arms at once; they carry the error of "
    "days whose labels overlap and that of seeds. A word needs Holm's test over the arms as well."
)
EXPLORATORY = "Exploratory, on the search's own days: there are no confirm folds."
NO_TUNING = "no arm has a tuning of its own (--draws 0), and without one there is no verdict"
NOT_KNOWN = ("–",) * 4  # mean, low, high, p
RESAMPLING_SEED = 0  # the same report from the same store


def build(evidence: Evidence) -> Section:
    judged = judge(evidence.confirm)
    if isinstance(judged, str):
        return nothing("effects", TITLE, "Arm minus reference, day by day.", judged)
    assert evidence.confirm is not None, "it was judged"
    if not judged.family_size:
        return nothing(
            "effects",
            TITLE,
            "Arm minus reference, day by day.",
            NO_TUNING if evidence.confirm.attributes.get("design") is None else "the arms are the runs of one design",
        )
    about, found = evidence.confirm.attributes["arm_summaries"], judged.verdicts
    pieces = (
        table(
            ("arm", "mean", "95 % low", "95 % high", "Holm's p", "verdict", "parameters", "what it turns"),
            [
                (arm, *_row(verdict, judged.equivalence), shown_parameters(evidence.confirm, arm), about.get(arm, ""))
                for arm, verdict in found.items()
            ]
            + [(arm, *NOT_KNOWN, judged.words[arm], "–", about.get(arm, "")) for arm in judged.missing],
        ),
        *provisional(judged),
        *map(paragraph, (*_pilot(evidence.confirm), *(_remarks(judged) if found else ()))),
        *([_details(judged)] if found else ()),
    )
    lead = LEAD.format(horizon=judged.horizon)
    return Section("effects", TITLE, f"{EXPLORATORY} {lead}" if judged.is_exploratory else lead, pieces)


def _row(verdict: Verdict, equivalence: float) -> tuple[str, ...]:
    numbers = map(signed, (verdict.effect.mean, verdict.low, verdict.high))
    return *numbers, probability(verdict.adjusted_p), word(verdict, equivalence)


def _pilot(confirm: StudyEvidence) -> list[str]:
    """What was told before launch."""
    known = confirm.attributes.get("pilot")
    if known is None:
        return ["Before launch it was not known what would be found: nothing was tuned."]
    return [
        f"Before launch, from the tuning's variance: {known['num_seeds']} seeds on {known['num_days']} days would find "
        f"a true difference of about {known['detectable']:.4f} four times in five; a tuning's two seeds know little of "
        f"their own spread, so that this is a rough figure."
    ]


def _remarks(judged: Judged) -> list[str]:
    """What would make the intervals shorter."""
    found = {arm: verdict.effect for arm, verdict in judged.verdicts.items()}
    arms = "one arm" if judged.family_size == 1 else f"{judged.family_size} arms"
    told = [f"After it, among {arms} a true difference of {judged.detectable:.4f} would be found four times in five."]
    seeds = min(each.num_seeds for each in found.values())
    if seeds < MIN_SEEDS:
        return [*told, f"A verdict needs {MIN_SEEDS} seeds, and there are {seeds}: give --seeds {MIN_SEEDS}."]
    if wanting := [arm for arm, each in found.items() if needs_seeds(each)]:
        return [*told, f"Seeds are much of the error of {', '.join(wanting)}: more --seeds would shorten its interval."]
    words = "Nearly all of the error is that of the days, so that seeds cannot help"
    try:
        days = max(more_days(each, judged.equivalence) for each in found.values())
    except ValueError:  # what little is the seeds' is too much for so small a difference
        return [
            *told,
            f"{words}; a difference of {judged.equivalence:g} is beyond these seeds, however many days there are.",
        ]
    enough = "is within reach of these days" if days == 0 else f"needs about {days:,} more days"
    return [*told, f"{words}: a difference of {judged.equivalence:g} {enough}."]


def _details(judged: Judged) -> str:
    rows = []
    for arm, verdict in judged.verdicts.items():
        d_ST, own = judged.pairs[arm].d_ST, verdict.effect
        beside = (
            newey_west_interval(d_ST, judged.horizon),
            bootstrap_interval(d_ST, judged.horizon, np.random.default_rng(RESAMPLING_SEED)),
        )
        shown = [f"{signed(low)} .. {signed(high)}" for low, high in (own.interval(1 - ALPHA), *beside)]
        counts = (own.num_seeds, judged.pairs[arm].num_missing, own.num_days)
        rows.append((arm, *counts, f"{own.seeds_share:.0%}", f"{own.degrees:.1f}", *shown))
    headings = ("arm", "seeds", "missing", "days", "seeds' part", "degrees", "alone, 95 %", "Newey-West", "bootstrap")
    body = paragraph(
        "Newey-West and bootstrap stand beside the verdict and never decide: they are too short where labels overlap. "
        "'alone' is this arm's interval without the others; 'seeds' part' is their share of the squared error; "
        "'missing' seeds count as zero skill in a second look that must agree."
    )
    return f"<details><summary>Errors, and other intervals</summary>{body}{table(headings, rows)}</details>"
