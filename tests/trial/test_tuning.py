"""Equal tuning: common points, two seeds each; every arm its own best; the reference's for those that are fixed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from search_spaces import SPACES
from search_spaces.config import TrialConfig
from search_spaces.knob import Knob
from search_spaces.space import REFERENCE
from storage.record import TrialRecord
from trial.tuning import (
    MAX_DRAWS,
    ConfirmArm,
    Tuned,
    best_draws,
    confirm_arms,
    quasi_random_points,
    with_winner,
)

SPACE = SPACES["gat_ablation"]
BASE = TrialConfig()
KNOBS = [Knob(name, ("train.learning_rate",), FloatDistribution(0.0, 1.0)) for name in "abcdef"]
POINTS = quasi_random_points(SPACE.knobs, 4, seed=0)
TUNED = SPACE.tuned(BASE, POINTS)


def record(arm: str, draw: int, seed: int, value: float | None, **more: Any) -> TrialRecord:
    config = TUNED[arm][draw] if draw < len(POINTS) else BASE
    given: dict[str, Any] = {
        "number": 0,
        "state": "COMPLETE",
        "value": value,
        "params": {"arm": arm, "draw": draw, "seed": seed},
        "curve": (),
        "attributes": {"config_hash": config.hash},
    }
    return TrialRecord(**given | more)


class TestPoints:
    def test_more_of_them_begin_with_the_same(self) -> None:
        assert quasi_random_points(KNOBS, 16, seed=3)[:5] == quasi_random_points(KNOBS, 5, seed=3)
        assert quasi_random_points(KNOBS, 5, seed=4) != quasi_random_points(KNOBS, 5, seed=3)

    def test_are_spread_evenly_in_every_knob(self) -> None:
        points = quasi_random_points(KNOBS, 16, seed=1)
        for name in "abcdef":
            counts = np.histogram([point[name] for point in points], bins=16, range=(0, 1))[0]
            assert counts.tolist() == [1] * 16

    def test_take_every_choice_as_often(self) -> None:
        knob = Knob("heads", ("model.graph.heads",), CategoricalDistribution((2, 4, 8, 16)))
        drawn = [point["heads"] for point in quasi_random_points([knob, *KNOBS], 16, seed=2)]
        assert sorted(drawn) == [2] * 4 + [4] * 4 + [8] * 4 + [16] * 4

    def test_are_as_many_as_asked_for(self) -> None:
        assert quasi_random_points(KNOBS, 0, seed=0) == []
        assert len(quasi_random_points(KNOBS, MAX_DRAWS, seed=0)) == MAX_DRAWS


class TestBestDraws:
    def test_are_those_of_the_highest_mean_over_seeds(self) -> None:
        values = {0: (0.10, 0.10), 1: (0.30, -0.20), 2: (0.12, 0.09)}
        records = [
            record("no_gat", draw, seed, value) for draw, both in values.items() for seed, value in enumerate(both)
        ]
        assert best_draws(records, TUNED) == {"no_gat": Tuned(2, pytest.approx(0.105))}

    def test_leave_out_a_draw_that_lacks_a_seed(self) -> None:
        records = [
            record("reference", 0, 0, 0.1),
            record("reference", 0, 1, 0.1),
            record("reference", 1, 0, 0.9),
            record("reference", 1, 1, None, state="FAIL"),
            record("reference", 2, 0, 0.9),
            record("reference", 2, 1, 0.9, state="PRUNED"),
            record("no_fan", 0, 0, 0.9),
        ]
        assert best_draws(records, TUNED) == {"reference": Tuned(0, 0.1)}

    def test_leave_out_other_configurations_and_draws_beyond_those_asked_for(self) -> None:
        stale = {"attributes": {"config_hash": "another"}}
        records = [record("reference", 0, seed, 0.9, **stale) for seed in range(2)]
        records += [record("reference", 9, seed, 0.9) for seed in range(2)]
        records += [record("reference", 3, seed, 0.2) for seed in range(2)]
        assert best_draws(records, TUNED) == {"reference": Tuned(3, 0.2)}

    def test_take_the_earliest_of_equals(self) -> None:
        records = [record("no_san", draw, seed, 0.2) for draw in (2, 1) for seed in range(2)]
        assert best_draws(records, TUNED)["no_san"].draw == 1


class TestConfirmArms:
    @property
    def arms(self) -> dict[str, ConfirmArm]:
        best = {REFERENCE: Tuned(1, 0.2), "no_gat": Tuned(3, 0.2), "no_fan": Tuned(1, 0.1), "no_san": Tuned(0, 0.1)}
        return confirm_arms(SPACE, SPACE.arm_configs(BASE), TUNED, POINTS, best)

    def test_retuned_arms_stand_at_their_own_best_the_reference_too(self) -> None:
        assert self.arms[REFERENCE].config == TUNED[REFERENCE][1]
        assert (self.arms["no_gat"].kind, self.arms["no_gat"].config) == ("retuned", TUNED["no_gat"][3])
        assert next(iter(self.arms)) == REFERENCE

    def test_and_again_at_the_references_where_that_is_another(self) -> None:
        twin = self.arms["no_gat.fixed"]
        assert (twin.kind, twin.config.arm) == ("fixed", "no_gat.fixed")
        assert twin.config.hash == TUNED["no_gat"][1].hash
        assert "no_fan.fixed" not in self.arms

    def test_one_whose_tuning_failed_is_fixed_alone(self) -> None:
        assert self.arms["no_freq_dropout"].kind == "fixed"
        assert self.arms["no_freq_dropout"].config.hash == TUNED["no_freq_dropout"][1].hash

    def test_those_that_are_not_retuned_have_the_references_hyper_parameters(self) -> None:
        for name, kind in (("no_small_init", "fixed"), ("shuffled_graph", "placebo"), ("revin", "placebo")):
            own, reference = self.arms[name], self.arms[REFERENCE].config
            assert own.kind == kind
            assert own.config.model.hidden == reference.model.hidden
            assert own.config.train.learning_rate == reference.train.learning_rate
        assert self.arms["shuffled_graph"].config == self.arms[REFERENCE].config.replace(
            **{"data.graph.shuffled": True, "arm": "shuffled_graph"}
        )

    def test_configurations_are_all_different(self) -> None:
        assert len({arm.config.hash for arm in self.arms.values()}) == len(self.arms)
        assert {name: arm.config.arm for name, arm in self.arms.items()} == {name: name for name in self.arms}

    def test_without_a_tuning_all_are_as_the_space_has_them(self) -> None:
        plain = confirm_arms(SPACE, SPACE.arm_configs(BASE), {}, [], {})
        assert {name: arm.config for name, arm in plain.items()} == SPACE.arm_configs(BASE)
        assert {arm.kind for arm in plain.values()} == {"reference", "fixed", "placebo"}


class TestWinner:
    arms = confirm_arms(SPACE, SPACE.arm_configs(BASE), {}, [], {})

    def test_is_one_more_row(self) -> None:
        config = BASE.replace(**{"train.learning_rate": 3.3e-3, "seed": 4})
        best = record("no_gat", 0, 0, 0.5, number=7, attributes={"config": config.model_dump(mode="json")})
        arms, told = with_winner(self.arms, best)
        assert told == {"trial": 7, "arm": "winner"}
        assert list(arms) == [*self.arms, "winner"]
        assert (arms["winner"].config.hash, arms["winner"].config.arm) == (config.hash, "winner")

    def test_is_not_trained_twice_where_it_is_an_arm(self) -> None:
        best = record("no_gat", 0, 0, 0.5, number=0, attributes={"config": BASE.model_dump(mode="json")})
        arms, told = with_winner(self.arms, best)
        assert told == {"trial": 0, "arm": REFERENCE}
        assert list(arms) == list(self.arms)

    def test_may_not_be_there(self) -> None:
        assert with_winner(self.arms, None) == (dict(self.arms), None)
