"""The family of a confirm study: as it was declared, of the configurations that its arms stand for now."""

from __future__ import annotations

from typing import Any

import pytest

from reports.evidence import StudyEvidence
from reports.judged import Judged, judge, provisional
from storage.record import ARM_HASHES, TrialRecord

KINDS = {"reference": "reference", "no_gat": "retuned", "no_fan": "retuned", "shuffled": "placebo"}
DAYS = [f"2021-01-{day:02d}" for day in range(1, 29)]
FAILED = "FAIL"


def trial(arm: str, seed: int, skill: float, config_hash: str = "new", state: str = "COMPLETE") -> TrialRecord:
    """Of one fold, with almost the same skill every day."""
    config = {"data": {"horizons": [5]}}
    attributes = {"arm": arm, "seed": seed, "fold": "confirm-1", "config": config, "config_hash": config_hash}
    daily = {day: [skill + 1e-4 * (((7 + len(arm)) * place + seed) % 5 - 2)] for place, day in enumerate(DAYS)}
    curve = ({"daily_rank_ic": daily},) if state == "COMPLETE" else ()
    return TrialRecord(0, state, skill if state == "COMPLETE" else None, {}, attributes, curve)


def study(skill: dict[str, float], extra: list[TrialRecord], **attributes: Any) -> StudyEvidence:
    """Five seeds of every arm, and what else there is."""
    records = [trial(arm, seed, value) for arm, value in skill.items() for seed in range(5)]
    given = {"reference_arm": "reference", "arm_kinds": KINDS, **attributes}
    return StudyEvidence("a.confirm", given, records + extra, [])


def findings(confirm: StudyEvidence) -> Judged:
    found = judge(confirm)
    assert isinstance(found, Judged)
    return found


def test_a_configuration_that_an_arm_no_longer_stands_for_does_not_count() -> None:
    old = [trial("no_gat", seed, 0.9, "old") for seed in range(5)]
    skill = {"reference": 0.05, "no_gat": 0.02}
    now = study(skill, old, **{ARM_HASHES: dict.fromkeys(KINDS, "new")})
    assert findings(now).verdicts["no_gat"].effect.mean == pytest.approx(-0.03)
    assert findings(now).short_words["no_gat"] == "hurts"


def test_an_arm_that_failed_stays_in_the_family_and_is_undecided() -> None:
    failed = [trial("no_fan", seed, 0.0, state=FAILED) for seed in range(5)]
    alone = findings(study({"reference": 0.05, "no_gat": 0.02}, [], arm_kinds=KINDS | {"no_fan": "fixed"}))
    both = findings(study({"reference": 0.05, "no_gat": 0.02}, failed))
    assert both.family_size == 2
    assert both.words["no_fan"] == "undecided: fewer than two of its seeds completed"
    assert both.short_words["no_fan"] == "undecided"
    assert both.verdicts["no_gat"].adjusted_p == pytest.approx(2 * alone.verdicts["no_gat"].adjusted_p)
    assert both.verdicts["no_gat"].low < alone.verdicts["no_gat"].low
    assert (both.detectable or 0) > (alone.detectable or 1)


def test_an_arm_whose_tuning_failed_stays_in_the_family() -> None:
    kinds = KINDS | {"no_fan": "fixed"}
    skill = {"reference": 0.05, "no_gat": 0.02, "no_fan": 0.04}
    found = findings(study(skill, [], arm_kinds=kinds, family=["no_gat", "no_fan"]))
    assert found.words["no_fan"] == "undecided: its tuning did not complete"
    assert found.family_size == 2


@pytest.mark.parametrize(("num_open", "told"), [(1, "1 confirm trial is"), (2, "2 confirm trials are")])
def test_words_are_provisional_while_trials_are_open(num_open: int, told: str) -> None:
    running = [trial("no_gat", 5 + number, 0.0, state="RUNNING") for number in range(num_open)]
    found = findings(study({"reference": 0.05, "no_gat": 0.02}, running))
    assert found.num_open == num_open
    assert told in provisional(found)[0]
    assert provisional(findings(study({"reference": 0.05, "no_gat": 0.02}, []))) == []
