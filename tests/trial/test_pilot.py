"""What the confirm stage will find, told from the tuning: its error over more seeds and days, and no sign of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.inference.effect import effect
from reports.inference.power import minimum_detectable, projected
from storage.record import TrialRecord
from tests.reports.inference.series import paired
from trial.pilot import pilot
from trial.tuning import Tuned

DAYS = 120
BEST = {"reference": Tuned(1, 0.05), "no_gat": Tuned(0, 0.04)}


def trial(number: int, arm: str, draw: int, seed: int, skill_T: np.ndarray) -> TrialRecord:
    daily = {f"2020-{day:03d}": [0.0, float(value)] for day, value in enumerate(skill_T)}
    about = {"config": {"data": {"horizons": [1, 5]}}, "arm": arm, "seed": seed, "fold": "search"}
    cell = {"arm": arm, "draw": draw, "seed": seed}
    return TrialRecord(number, "COMPLETE", 0.1, cell, about, ({"daily_rank_ic": daily},))


def tuning(mean: float) -> tuple[list[TrialRecord], np.ndarray]:
    """([..] the best draws and others; [S, T] what no_gat is beyond the reference)."""
    d_ST = paired(np.random.default_rng(0), 2, DAYS, 5, mean)
    zero = np.zeros(DAYS)
    records = []
    for seed in (0, 1):
        records += [trial(len(records), "reference", 1, seed, zero)]
        records += [trial(len(records), "no_gat", 0, seed, d_ST[seed])]
        records += [trial(len(records), "no_gat", 1, seed, 50 * d_ST[seed])]
    return records, d_ST


def test_it_is_the_tunings_error_over_more_seeds_and_days() -> None:
    records, d_ST = tuning(0.0)
    found = pilot(records, BEST, (1, 5), num_seeds=5, num_days=400)
    later = projected(effect(d_ST, 5), 5, 5, 400)
    assert later.days_part == pytest.approx(effect(d_ST, 5).days_part * DAYS / 400)
    assert later.seeds_part == pytest.approx(effect(d_ST, 5).seeds_part * 2 / 5)
    assert found is not None
    assert found.detectable == pytest.approx(minimum_detectable(later, 1))
    assert f"about {found.detectable:.4f}" in found.in_words


def test_what_the_arms_came_out_at_does_not_matter() -> None:
    plain, better = (pilot(tuning(mean)[0], BEST, (1, 5), 5, 400) for mean in (0.0, 0.7))
    assert plain is not None
    assert better is not None
    assert better.detectable == pytest.approx(plain.detectable)


def test_a_projection_is_what_the_larger_experiment_knows() -> None:
    """On average over simulated ones."""
    rng = np.random.default_rng(1)
    small = [projected(effect(paired(rng, 5, 250, 5), 5), 5, 10, 1000).days_part for _ in range(200)]
    large = [effect(paired(rng, 10, 1000, 5), 5).days_part for _ in range(200)]
    assert np.mean(small) == pytest.approx(np.mean(large), rel=0.12)


def test_nothing_is_told_of_nothing() -> None:
    assert pilot([], {}, (1, 5), 5, 400) is None
    records, _ = tuning(0.0)
    assert pilot([replace(record, state="FAIL") for record in records], BEST, (1, 5), 5, 400) is None
    assert pilot(records, BEST, (1, 5), 1, 400) is None
