"""The intervals that stand beside: the bootstrap against its naive loop, and both against what they should cover."""

from __future__ import annotations

import numpy as np
import pytest

from reports.inference.beside import block_length, bootstrap_interval, bootstrap_means, newey_west_interval
from reports.inference.effect import effect
from reports.inference.power import minimum_detectable
from tests.reports.inference.series import paired


def test_blocks_are_two_labels_long_or_the_cube_root() -> None:
    assert [block_length(days, horizon) for days, horizon in [(250, 20), (250, 1), (30, 20)]] == [40, 7, 30]


def test_the_bootstrap_is_its_naive_loop() -> None:
    d_ST = paired(np.random.default_rng(0), 4, 30, 2)
    found = bootstrap_means(d_ST, 7, np.random.default_rng(1), 20)
    rng = np.random.default_rng(1)
    seeds, starts = rng.integers(4, size=(20, 4)), rng.integers(30, size=(20, 5))
    naive = []
    for chosen, begun in zip(seeds, starts, strict=True):
        days = [(start + step) % 30 for start in begun for step in range(7)]
        naive.append(np.mean([d_ST[seed, day] for seed in chosen for day in days]))
    np.testing.assert_allclose(found, naive)


@pytest.mark.parametrize("horizon", [1, 5])
def test_both_hold_the_mean_and_shrink_with_the_days(horizon: int) -> None:
    rng = np.random.default_rng(2)
    short, long = (paired(rng, 5, days, horizon, mean=1.0, seed_sd=0.0) for days in (100, 4000))
    for interval in (newey_west_interval, lambda d, h: bootstrap_interval(d, h, np.random.default_rng(3))):
        (a, b), (c, d) = interval(short, horizon), interval(long, horizon)
        assert a < short.mean() < b
        assert c < long.mean() < d
        assert d - c < (b - a) / 3


def test_an_effect_of_the_size_that_can_be_detected_is_found_as_often_as_said() -> None:
    rng, days = np.random.default_rng(4), 1000
    pilots = [effect(paired(rng, 5, days, 5, seed_sd=0.02), 5) for _ in range(30)]
    size = float(np.median([minimum_detectable(pilot, num_arms=1) for pilot in pilots]))
    found = [effect(paired(rng, 5, days, 5, mean=size, seed_sd=0.02), 5).p_value <= 0.05 for _ in range(200)]
    assert 0.7 < np.mean(found) < 0.92
    assert minimum_detectable(pilots[0], num_arms=5) > minimum_detectable(pilots[0], num_arms=1)
