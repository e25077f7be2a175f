"""The sections on effects: their words, what they say of seeds and days, and why there may be nothing to show."""

from __future__ import annotations

import numpy as np
import pytest

from reports.evidence import Evidence, StudyEvidence
from reports.section import Builder
from reports.sections import effects, exploratory
from storage.record import TrialRecord

DAYS, HORIZONS = 250, [1, 5]


def confirm(seeds: int, losses: dict[str, float], noise: float = 0.02, kind: str = "retuned") -> Evidence:
    """A confirm study whose arms lose so much skill a day, beside days that are an arm's and hardly differ by seed."""
    rng = np.random.default_rng(3)
    own = {arm: rng.normal(0, noise, DAYS) for arm in losses}
    records = []
    for seed in range(seeds):
        shared = rng.normal(0.05, 0.1, DAYS)
        for arm, loss in {"reference": 0.0, **losses}.items():
            skill = shared - loss + own.get(arm, 0.0) + rng.normal(0, noise / 10, DAYS)
            daily = {f"2020-{day:03d}": [0.0, float(value)] for day, value in enumerate(skill)}
            attributes = {"arm": arm, "seed": seed, "fold": "confirm-1", "config": {"data": {"horizons": HORIZONS}}}
            records.append(TrialRecord(len(records), "COMPLETE", 0.1, {}, attributes, ({"daily_rank_ic": daily},)))
    about = {
        "reference_arm": "reference",
        "arm_summaries": {arm: f"turns {arm}" for arm in losses},
        "arm_kinds": dict.fromkeys(losses, kind),
    }
    return Evidence("demo", None, StudyEvidence("demo.confirm", about, records, []), {})


def shown(evidence: Evidence, builder: Builder = effects.build) -> str:
    section = builder(evidence)
    return " ".join((section.lead, *section.pieces))


def test_an_arm_that_loses_much_hurts_and_one_that_loses_nothing_makes_no_difference() -> None:
    found = shown(confirm(5, {"no_gat": 0.05, "no_fan": 0.0}))
    assert "Daily RankIC at 5 trading days" in found
    assert "<td>hurts</td>" in found
    assert "no difference larger than 0.005" in found
    assert "turns no_gat" in found
    assert "seeds cannot help" in found


def test_an_arm_that_gains_helps() -> None:
    assert "<td>helps</td>" in shown(confirm(5, {"no_gat": -0.05}))


def test_without_a_tuning_of_its_own_an_arm_gets_no_verdict() -> None:
    fixed = confirm(5, {"no_gat": -0.05, "no_fan": 0.05, "no_san": 0.0}, kind="fixed")
    assert "Nothing to show: no arm has a tuning of its own" in shown(fixed)
    found = shown(fixed, exploratory.build)
    assert found.startswith("Exploratory.")
    assert "needed by this tuning" in found
    assert "more than the reference, which its own tuning may not be" in found
    assert "nothing found" in found
    assert "helps" not in found


def test_a_placebo_that_loses_says_what_it_takes_away() -> None:
    found = shown(confirm(5, {"shuffled": 0.05}, kind="placebo"), exploratory.build)
    assert "what the placebo takes away counts" in found
    assert "fewer than 5 seeds" in shown(confirm(4, {"shuffled": 0.05}, kind="placebo"), exploratory.build)


def test_few_seeds_decide_nothing() -> None:
    found = shown(confirm(3, {"no_gat": 0.05}))
    assert "undecided: fewer than 5 seeds" in found
    assert "give --seeds 5" in found


def test_seeds_that_differ_much_are_to_be_more() -> None:
    evidence = confirm(5, {"no_gat": 0.0}, noise=0.01)
    assert evidence.confirm is not None
    for record in evidence.confirm.records:
        if record.arm == "no_gat":
            daily = record.curve[0]["daily_rank_ic"]
            for day in daily:
                daily[day][1] += 0.02 * (record.attributes["seed"] - 2)
    assert "Seeds are much of the error of no_gat" in shown(evidence)


@pytest.mark.parametrize(
    ("evidence", "why"),
    [
        (Evidence("demo", None, None, {}), "the confirm stage was not run"),
        (confirm(0, {"no_gat": 0.0}), "no confirm trial has begun"),
        (confirm(1, {"no_gat": 0.0}), "two common seeds on every fold"),
    ],
)
def test_it_says_why_there_is_nothing(evidence: Evidence, why: str) -> None:
    assert why in shown(evidence)


def test_the_same_evidence_gives_the_same_section() -> None:
    one, two = (effects.build(confirm(5, {"no_gat": 0.01})).pieces[1:] for _ in range(2))  # a figure has its own id
    assert one == two
