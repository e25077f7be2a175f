"""What picking the best of a search is worth, on searches whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from reports.evidence import Evidence, StudyEvidence
from reports.inference.selection import effective_number, expected_maximum
from reports.luck import Luck, measure_luck
from reports.sections import luck
from storage.ledger import Tried
from storage.record import TrialRecord
from storage.references import Reference

DAYS, HORIZONS = 240, [1, 5]


def trial(number: int, skill_T: np.ndarray, state: str = "COMPLETE") -> TrialRecord:
    daily = {f"2020-{day:03d}": [0.0, float(value)] for day, value in enumerate(skill_T)}
    config = {"data": {"horizons": HORIZONS, "delay": 1}}
    return TrialRecord(number, state, float(skill_T.mean()), {}, {"config": config}, ({"daily_rank_ic": daily},))


def search(levels: list[float], seed: int = 0, ridge: float | None = None) -> Evidence:
    """Trials of these mean daily RankICs, with noise of their own and noise that they share."""
    rng = np.random.default_rng(seed)
    shared_T = rng.normal(0, 0.05, DAYS)
    records = [trial(n, level + shared_T + rng.normal(0, 0.05, DAYS)) for n, level in enumerate(levels)]
    references = ()
    if ridge is not None:
        daily = {f"2020-{day:03d}": [0.0, ridge + float(shared_T[day])] for day in range(DAYS)}
        references = (Reference("ridge", "search", "key", {"horizons": HORIZONS, "daily_rank_ic": daily}),)
    study = StudyEvidence("demo", {"horizons": HORIZONS}, records, [])
    return Evidence("demo", study, None, {}, search_references=references, tried=Tried(len(levels), 0))


def measured(given: Evidence) -> Luck:
    found = measure_luck(given)
    assert isinstance(found, Luck)
    return found


def test_luck_grows_with_what_was_tried_by_anybody() -> None:
    few = search([0.0] * 6)
    many = measured(replace(few, tried=Tried(600, 0)))
    assert measured(few).raw.num_trials == 6
    assert many.raw.num_trials == 600
    assert many.raw.expected > measured(few).raw.expected
    assert many.raw.probability < measured(few).raw.probability
    assert many.effective.num_trials == pytest.approx(effective_number(600, many.correlation))
    assert many.effective.num_trials < 600
    assert many.years == pytest.approx(expected_maximum(600) ** 2)


def test_skill_stays_and_luck_does_not() -> None:
    lucky = [measured(search([0.0] * 20, seed)).raw.probability for seed in range(12)]
    assert np.mean([p > 0.95 for p in lucky]) <= 0.25
    skilled = measured(search([0.0] * 19 + [0.06], ridge=0.0))
    assert skilled.trial == 19
    assert skilled.raw.probability > 0.95
    assert skilled.superior["ridge"] < 0.05
    assert skilled.t_value == pytest.approx(skilled.ratio / math.sqrt(252) * math.sqrt(DAYS))
    assert not isinstance(skilled.overfitting, str)


def test_it_says_why_there_is_nothing() -> None:
    assert measure_luck(Evidence("demo", None, None, {})) == "there was no search"
    assert "fewer than two" in str(measure_luck(search([0.1])))
    pruned = search([0.1, 0.2])
    assert pruned.search is not None
    cut = [replace(record, state="PRUNED") for record in pruned.search.records]
    assert "fewer than two" in str(measure_luck(replace(pruned, search=replace(pruned.search, records=cut))))


def test_the_section_tells_all_of_it() -> None:
    text = " ".join(luck.build(search([0.01 * k for k in range(18)], ridge=0.0)).pieces)
    for words in (
        "annual information ratio",
        "Minimum backtest length",
        "halvings of the search fold",
        "ridge 0.",
        "18.0",
    ):
        assert words in text
    few = " ".join(luck.build(search([0.0, 0.1])).pieces)
    assert "2 configurations have their full budget, and 16 are needed" in few
    assert "no simple predictor was fitted on the search fold" in few
