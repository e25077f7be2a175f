"""A knob draws the same values for the search and for the tuning of arms, evenly over its range."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from search_spaces.knob import Knob, points_at, turned
from search_spaces.knobs import FAN_TOP_K, HEADS, HIDDEN, LEARNING_RATE
from search_spaces.space import REFERENCE, Arm, SearchSpace

RANGES: list[Any] = [
    CategoricalDistribution(("a", "b", "c")),
    IntDistribution(1, 5),
    IntDistribution(2, 10, step=4),
    IntDistribution(1, 64, log=True),
    FloatDistribution(0.1, 0.5),
    FloatDistribution(1e-4, 1e-1, log=True),
]


def knob(values: Any) -> Knob:
    return Knob("x", ("train.learning_rate",), values)


@pytest.mark.parametrize("values", RANGES, ids=str)
def test_every_share_is_a_value_of_the_range(values: BaseDistribution) -> None:
    for share in (0.0, 0.3, 0.5, 1 - 1e-12):
        assert values._contains(values.to_internal_repr(knob(values).at(share)))


@pytest.mark.parametrize("values", RANGES, ids=str)
def test_the_search_draws_from_the_same_range(values: BaseDistribution) -> None:
    trial = optuna.create_study().ask()
    knob(values).suggest(trial)
    assert trial.distributions == {"x": values}


def test_shares_drawn_evenly_are_values_drawn_evenly() -> None:
    shares = (np.arange(900) + 0.5) / 900
    assert set(Counter(knob(IntDistribution(1, 3)).at(share) for share in shares).values()) == {300}
    assert set(Counter(knob(CategoricalDistribution((4, 8))).at(share) for share in shares).values()) == {450}
    logs = [math.log10(knob(FloatDistribution(1e-4, 1e-2, log=True)).at(share)) for share in shares]
    assert np.histogram(logs, bins=3, range=(-4, -2))[0].tolist() == [300] * 3
    steps = {knob(IntDistribution(2, 10, step=4)).at(share) for share in shares}
    assert steps == {2, 6, 10}


def test_a_point_sets_what_the_configuration_has_and_nothing_else() -> None:
    knobs = (HIDDEN, HEADS, FAN_TOP_K, LEARNING_RATE)
    point = {"hidden": 64, "gat_heads": 2, "fan_top_k": 5, "learning_rate": 2e-3}
    reference = TrialConfig()
    whole = turned(reference, knobs, point)
    assert (whole.model.hidden, whole.train.learning_rate) == (64, 2e-3)
    assert whole.model_dump()["model"]["graph"]["heads"] == 2
    assert whole.model_dump()["model"]["norm"]["fan"]["top_k"] == 5
    plain = reference.replace(**{"model.graph": {"kind": "identity"}, "model.fusion": {"kind": "identity"}})
    assert turned(plain, knobs, point) == plain.replace(
        **{"model.hidden": 64, "model.norm.fan.top_k": 5, "train.learning_rate": 2e-3}
    )


def test_points_have_a_value_of_each_knob() -> None:
    points = points_at((HIDDEN, LEARNING_RATE), [(0.0, 0.0), (0.99, 0.5)])
    assert points[0] == {"hidden": 16, "learning_rate": pytest.approx(2e-4)}
    assert points[1]["hidden"] == 64


class TestEverySpace:
    def test_has_knobs_that_its_reference_has(self, space: SearchSpace) -> None:
        assert space.knobs
        for each in space.knobs:
            assert each.keys_in(space.reference), each.name

    def test_is_valid_at_every_corner_in_every_arm(self, space: SearchSpace) -> None:
        shares = [[share] * len(space.knobs) for share in (0.0, 0.5, 1 - 1e-9)]
        tuned = space.tuned(space.reference, points_at(space.knobs, shares))
        assert set(tuned) == {REFERENCE, *space.retuned}
        for name, configs in tuned.items():
            assert len({config.hash for config in configs}) == len(shares), name
            assert {config.arm for config in configs} == {name}

    def test_points_leave_the_arms_apart(self, space: SearchSpace) -> None:
        point = points_at(space.knobs, [[0.7] * len(space.knobs)])
        hashes = [configs[0].hash for configs in space.tuned(space.reference, point).values()]
        assert len(set(hashes)) == len(hashes)

    def test_retunes_no_more_than_four_arms_and_no_placebo(self, space: SearchSpace) -> None:
        assert len(space.retuned) in (range(1, 5) if space.design is None else [0])
        assert not any(space.arms[name].is_placebo for name in space.retuned)


def test_a_switch_that_is_a_knob_is_refused() -> None:
    space = SearchSpace(
        name="mine",
        summary="mine",
        reference=TrialConfig(),
        sample=lambda trial, base: base,
        arms={"wide": Arm("wide", {"model.hidden": 64})},
        knobs=(HIDDEN,),
    )
    with pytest.raises(SpaceError, match=r"a switch may not be a knob, but arm 'wide' .* model\.hidden"):
        space.arm_configs(TrialConfig())


def test_a_space_without_knobs_retunes_nothing() -> None:
    space = SearchSpace("mine", "mine", TrialConfig(), lambda trial, base: base, {"wide": Arm("w", {"seed": 2})})
    assert space.retuned == ()
