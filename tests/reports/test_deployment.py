"""Whether to deploy: the rule's answers on winners with, without and with too little skill."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.deployment import decide, find_winner
from reports.evidence import Evidence, StudyEvidence
from storage.record import TrialRecord
from storage.references import Reference

DAYS, HORIZONS = 250, [1, 5]


def record(number: int, skill_T: np.ndarray, **attributes: object) -> TrialRecord:
    daily = {f"2020-{day:03d}": [0.0, float(value)] for day, value in enumerate(skill_T)}
    about = {"config": {"data": {"horizons": HORIZONS}}, "config_hash": "own", **attributes}
    return TrialRecord(number, "COMPLETE", 0.1, {}, about, ({"daily_rank_ic": daily},))


def evidence(
    level: float, ridge: float, lightgbm: float | None = None, seeds: int = 5, search: float = 0.2
) -> Evidence:
    """A winner of so much skill a day beside references of theirs; all share the days' noise."""
    rng = np.random.default_rng(1)
    shared_T = rng.normal(0, 0.05, DAYS)
    confirmed = [
        record(seed, level + shared_T + rng.normal(0, 0.02, DAYS), arm="winner", seed=seed, fold="confirm-1")
        for seed in range(seeds)
    ]
    references = tuple(
        Reference(
            name,
            "confirm-1",
            "key",
            {
                "horizons": HORIZONS,
                "daily_rank_ic": {f"2020-{day:03d}": [0.0, own + float(shared_T[day])] for day in range(DAYS)},
            },
        )
        for name, own in (("ridge", ridge), ("lightgbm", lightgbm))
        if own is not None
    )
    about = {"winner": {"trial": 3, "arm": "winner"}, "horizons": HORIZONS, "reference_arm": "reference"}
    tried = StudyEvidence("demo", {}, [record(3, np.full(DAYS, search))], [])
    return Evidence("demo", tried, StudyEvidence("demo.confirm", about, confirmed, []), {}, references=references)


def with_holdout(given: Evidence, level: float, ridge: float, config_hash: str = "own") -> Evidence:
    """The same after a read of the hold-out."""
    then = evidence(level, ridge, 0.0)
    assert then.confirm is not None
    about = {"winner": {"arm": "winner", "config_hash": config_hash, "trained_hash": "own"}}
    read = StudyEvidence("demo.holdout", about, then.confirm.records, [])
    return replace(given, holdout=read, holdout_references=then.references)


def without(given: Evidence, name: str) -> Evidence:
    """The same, one predictor not fitted on the hold-out."""
    return replace(given, holdout_references=tuple(one for one in given.holdout_references if one.name != name))


def exploratory(given: Evidence) -> Evidence:
    assert given.confirm is not None
    return replace(given, confirm=replace(given.confirm, attributes={**given.confirm.attributes, "exploratory": True}))


GOOD = evidence(0.05, 0.02, 0.02)


@pytest.mark.parametrize(
    ("given", "decision", "why"),
    [
        (evidence(-0.05, 0.0, 0.0), "no", "it has no skill on days that it was not chosen by"),
        (evidence(0.05, 0.1, 0.04), "no", "ridge did better on the same days"),
        (evidence(0.05, 0.02, 0.01, seeds=3), "undecided", "confirmed with 3 seeds, and 5 are needed"),
        (evidence(0.003, -0.05, -0.05), "undecided", "cannot be told from none"),
        (evidence(0.05, 0.02), "undecided", "lightgbm was not fitted"),
        (evidence(0.05, 0.05, 0.02), "undecided", "cannot be told from ridge on the same days"),
        (GOOD, "undecided", "the hold-out has not been read"),
        (exploratory(GOOD), "undecided", "there are no confirm folds"),
        (with_holdout(GOOD, 0.04, 0.03), "yes", "and the hold-out agrees"),
        (without(with_holdout(GOOD, 0.04, 0.03), "lightgbm"), "undecided", "lightgbm was not fitted on the hold-out"),
        (with_holdout(GOOD, -0.01, -0.05), "no", "on the hold-out it has no skill"),
        (with_holdout(GOOD, 0.03, 0.08), "no", "on the hold-out ridge did better"),
        (with_holdout(GOOD, 0.04, 0.03, "another"), "undecided", "has not been read for it"),
        (with_holdout(evidence(0.05, 0.05, 0.02), 0.04, 0.03), "undecided", "cannot be told from ridge"),
    ],
)
def test_the_answer_and_its_reason(given: Evidence, decision: str, why: str) -> None:
    found = decide(given)
    assert found.decision == decision
    assert why in found.why
    assert found.awaits_holdout is ("has not been read" in why)


def test_what_the_search_promised_is_compared_with_what_came() -> None:
    winner = find_winner(evidence(0.05, 0.02, 0.01, search=0.2))
    assert not isinstance(winner, str)
    assert winner.search == pytest.approx(0.2)
    assert winner.luck == pytest.approx(0.2 - winner.confirm.level.mean)
    assert (winner.confirm.level.num_seeds, winner.confirm.level.num_days, winner.horizon) == (5, DAYS, 5)
    assert winner.confirm.less["ridge"].mean == pytest.approx(0.03, abs=0.005)
    assert winner.confirm.less["ridge"].standard_error < winner.confirm.level.standard_error


def of_two_folds(given: Evidence, first: int) -> Evidence:
    """Days from place `first` on are of a second confirm fold."""

    def part(record: TrialRecord, fold: str, days: slice) -> TrialRecord:
        daily = dict([*record.curve[-1]["daily_rank_ic"].items()][days])
        return replace(record, attributes={**record.attributes, "fold": fold}, curve=({"daily_rank_ic": daily},))

    assert given.confirm is not None
    folds = {"confirm-1": slice(0, first), "confirm-2": slice(first, None)}
    parts = [part(record, fold, days) for record in given.confirm.records for fold, days in folds.items()]
    return replace(given, confirm=replace(given.confirm, records=parts))


def test_a_predictor_that_was_not_fitted_on_every_fold_is_no_rival_and_shortens_nothing() -> None:
    """A sweep that was killed between two of its folds."""
    whole, halved = find_winner(GOOD), find_winner(of_two_folds(GOOD, 100))
    assert not isinstance(whole, str)
    assert not isinstance(halved, str)
    assert halved.confirm.level == whole.confirm.level
    assert (set(whole.confirm.less), set(halved.confirm.less)) == ({"ridge", "lightgbm"}, set())
    assert "ridge and lightgbm was not fitted on the same days" in decide(of_two_folds(GOOD, 100)).why


def test_a_day_on_which_a_network_ranks_nothing_is_one_without_skill() -> None:
    assert GOOD.confirm is not None
    constant = [f"2020-{day:03d}" for day in range(0, DAYS, 2)]

    def dead(record: TrialRecord) -> TrialRecord:
        daily = record.curve[-1]["daily_rank_ic"]
        return replace(record, curve=({"daily_rank_ic": daily | {day: [None, None] for day in constant}},))

    dying = replace(GOOD, confirm=replace(GOOD.confirm, records=[dead(each) for each in GOOD.confirm.records]))
    whole, half = find_winner(GOOD), find_winner(dying)
    assert not isinstance(whole, str)
    assert not isinstance(half, str)
    assert half.confirm.level.num_days == DAYS
    assert half.confirm.level.mean == pytest.approx(whole.confirm.level.mean / 2, rel=0.2)
    assert half.confirm.levels == whole.confirm.levels


def test_a_seed_that_was_lost_is_named() -> None:
    assert GOOD.confirm is not None
    lost = TrialRecord(9, "FAIL", None, {}, {"arm": "winner", "seed": 4, "fold": "confirm-1", "reason": "diverged"}, ())
    confirm = replace(GOOD.confirm, records=[*GOOD.confirm.records[:4], lost])
    why = "it was confirmed with 4 seeds, and 5 are needed; trial 9 of seed 4 ended as FAIL (diverged)"
    assert decide(replace(GOOD, confirm=confirm)).why == why


def test_it_says_why_there_is_no_answer() -> None:
    assert find_winner(Evidence("demo", None, None, {})) == "the confirm stage was not run"
    given = evidence(0.05, 0.02)
    assert given.confirm is not None
    unconfirmed = StudyEvidence("demo.confirm", {**given.confirm.attributes, "winner": None}, [], [])
    assert "no search trial was confirmed" in str(find_winner(Evidence("demo", None, unconfirmed, {})))
    few = StudyEvidence("demo.confirm", given.confirm.attributes, given.confirm.records[:1], [])
    assert "fewer than two seeds" in decide(Evidence("demo", None, few, {})).why
