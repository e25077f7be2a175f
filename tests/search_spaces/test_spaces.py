"""One suite over all named spaces: what each samples is valid, complete, reproducible and worth sampling."""

from __future__ import annotations

import warnings
from fnmatch import fnmatchcase
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from data.config import DataConfig
from data.features import FEATURES
from search_spaces import SPACES, find_space
from search_spaces.config import TrialConfig, validated
from search_spaces.errors import SpaceError
from search_spaces.features import COMPUTED
from search_spaces.space import REFERENCE, SearchSpace
from tests.search_spaces.helpers import draw_point, draw_random


def another(value: Any, distribution: BaseDistribution) -> Any:
    """A different value of the same distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return next(choice for choice in distribution.choices if choice != value)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution.high if value != distribution.high else distribution.low


def sections_that_differ(one: TrialConfig, other: TrialConfig) -> set[str]:
    """But for what of the data settings is no part of the prepared market: edges, scaler, what is not read."""
    return {name for name in TrialConfig.model_fields if plain(one, name) != plain(other, name)}


def plain(config: TrialConfig, section: str) -> Any:
    value = getattr(config, section)
    return market_of(config) if section == "data" else value


def market_of(config: TrialConfig) -> dict[str, Any]:
    return config.data.model_dump(exclude={"graph", "scaler", "leave_out"})


class TestEverySpace:
    def test_is_found_by_its_own_name(self, space: SearchSpace) -> None:
        assert SPACES[space.name] is space
        assert find_space(space.name) is space

    def test_says_what_it_is_about(self, space: SearchSpace) -> None:
        assert len(space.summary.splitlines()) == 1
        assert all(arm.summary for arm in space.arms.values())

    def test_has_a_valid_reference(self, space: SearchSpace) -> None:
        assert validated(space.reference.model_dump(mode="json")) == space.reference

    def test_has_a_budget_that_runs_something(self, space: SearchSpace) -> None:
        assert min(space.budget.trials, space.budget.epochs, space.budget.seeds) >= 1
        assert space.budget.trials >= len(space.first_points)


class TestFirstPoints:
    def test_begin_with_the_reference(self, space: SearchSpace) -> None:
        assert draw_point(space, space.first_points[0]).config.hash == space.reference.hash

    def test_fix_everything_that_is_sampled_and_nothing_else(self, space: SearchSpace) -> None:
        for point in space.first_points:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # Optuna warns of a value out of its range
                assert draw_point(space, point).params == point

    def test_are_points_of_their_own(self, space: SearchSpace) -> None:
        hashes = [draw_point(space, point).config.hash for point in space.first_points]
        assert len(set(hashes)) == len(hashes)

    def test_every_parameter_changes_the_configuration(self, space: SearchSpace) -> None:
        first = draw_point(space, space.first_points[0])
        for name, distribution in first.distributions.items():
            changed = draw_point(space, first.params | {name: another(first.params[name], distribution)})
            assert changed.config.hash != first.config.hash, name


class TestArms:
    def test_all_differ(self, space: SearchSpace) -> None:
        configs = space.arm_configs(space.reference)
        assert len({config.hash for config in configs.values()}) == 1 + len(space.arms)

    def test_carry_their_names(self, space: SearchSpace) -> None:
        configs = space.arm_configs(space.reference)
        assert list(configs) == [REFERENCE, *space.arms]
        assert [config.arm for config in configs.values()] == list(configs)

    def test_change_the_model_or_its_training_alone(self, space: SearchSpace) -> None:
        configs = space.arm_configs(space.reference)
        for name in space.arms:
            assert sections_that_differ(configs[name], configs[REFERENCE]) <= {"model", "train", "arm"}, name

    def test_turn_one_switch_of_any_base(self, space: SearchSpace) -> None:
        """What an arm does not name stays as the base has it, here a head without dropout."""
        base = space.reference.replace(**{"model.head.dropout": 0.0})
        for name, config in space.arm_configs(base).items():
            assert config.model.head.dropout == 0.0, name


class TestSamples:
    def test_are_valid_configurations(self, space: SearchSpace) -> None:
        for drawn in draw_random(space):
            assert validated(drawn.config.model_dump(mode="json")) == drawn.config

    def test_leave_the_market_and_the_repetition_alone(self, space: SearchSpace) -> None:
        for drawn in draw_random(space):
            assert sections_that_differ(drawn.config, space.reference) <= {"model", "train"}

    def test_stand_on_the_base_they_are_given(self, space: SearchSpace) -> None:
        base = space.reference.replace(**{"train.epochs": 3, "data.splits.search_days": 33, "seed": 9})
        for drawn in draw_random(space, number=5):
            config = space.sample(drawn.trial, base)
            assert (market_of(config), config.train.epochs, config.seed) == (market_of(base), 3, 9)

    def test_keep_what_they_do_not_sample(self, space: SearchSpace) -> None:
        base = space.reference.replace(**{"model.head.dropout": 0.0})
        for drawn in draw_random(space, number=5):
            assert space.sample(drawn.trial, base).model.head.dropout == 0.0

    def test_are_different_points(self, space: SearchSpace) -> None:
        assert len({drawn.config.hash for drawn in draw_random(space)}) > 25

    def test_use_one_distribution_per_parameter(self, space: SearchSpace) -> None:
        known: dict[str, BaseDistribution] = {}
        for drawn in draw_random(space):
            for name, distribution in drawn.distributions.items():
                assert known.setdefault(name, distribution) == distribution

    def test_switch_by_true_and_false(self, space: SearchSpace) -> None:
        for drawn in draw_random(space):
            for name, value in drawn.params.items():
                if isinstance(value, bool):
                    assert drawn.distributions[name] == CategoricalDistribution((True, False))

    def test_spread_over_magnitudes_on_a_log_scale(self, space: SearchSpace) -> None:
        for drawn in draw_random(space):
            for name, distribution in drawn.distributions.items():
                if isinstance(distribution, FloatDistribution) and distribution.high > 10 * distribution.low > 0:
                    assert distribution.log, name

    def test_of_one_stored_trial_are_the_same_configuration(self, space: SearchSpace) -> None:
        for drawn in draw_random(space, number=10):
            again = optuna.Trial(drawn.trial.study, drawn.trial._trial_id)
            assert space.sample(again, space.reference) == drawn.config
            assert again.params == drawn.params

    def test_follow_from_the_parameters_alone(self, space: SearchSpace) -> None:
        for drawn in draw_random(space, number=10):
            assert draw_point(space, drawn.params).config == drawn.config


class TestFindSpace:
    @pytest.fixture
    def names(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """More names than there may be today."""
        for name in ("horizon_weights", "loss_ablation"):
            monkeypatch.setitem(SPACES, name, SPACES["gat_ablation"])
        return list(SPACES)

    @pytest.mark.parametrize(
        ("typed", "meant"),
        [("gat_ablatoin", "gat_ablation"), ("loss_ablaton", "loss_ablation"), ("horizons", "horizon_weights")],
    )
    def test_names_the_nearest_first_and_all(self, names: list[str], typed: str, meant: str) -> None:
        with pytest.raises(
            SpaceError, match=rf"one of: {meant}, .*; got '{typed}'\. Did you mean '{meant}'"
        ) as refusal:
            find_space(typed)
        assert all(name in str(refusal.value) for name in names)

    @pytest.mark.parametrize("typed", ["", "GAT_ABLATION", "zzz"])
    def test_refuses_whatever_is_no_name(self, typed: str) -> None:
        with pytest.raises(SpaceError, match="gat_ablation"):
            find_space(typed)


class TestFeatureGroups:
    def test_every_computed_feature_is_in_exactly_one_group(self) -> None:
        for feature in FEATURES:
            names = [name for name, patterns in COMPUTED.items() if any(fnmatchcase(feature, p) for p in patterns)]
            assert len(names) == 1, (feature, names)

    def test_a_market_of_ones_own_columns_has_their_groups(self) -> None:
        columns = {
            "groups": {
                "stmt": {"columns": ["stmt_*"], "publication_lag": 1},
                "flow": {"columns": ["flow_*"], "publication_lag": 1},
            }
        }
        data = DataConfig.model_validate({"columns": columns})
        space = SPACES["features"].suited(["stmt_a", "stmt_b", "flow_a", "other"], data)
        assert list(space.arms) == ["no_stmt", "no_flow", "only_stmt"]
        assert space.arms["no_flow"].changes == {"data.leave_out": ("flow_*",)}
        point = draw_point(space, {"with_stmt": False, "with_flow": False, "learning_rate": 1e-3})
        assert point.config.data.leave_out == ("flow_*",), "the first group stays"

    def test_a_market_without_groups_is_refused(self) -> None:
        with pytest.raises(SpaceError, match=r"at least two groups.*data\.columns\.groups"):
            SPACES["features"].suited(["a", "b"], DataConfig())

    def test_other_spaces_suit_every_market(self) -> None:
        space = SPACES["gat_ablation"]
        assert space.suited(["a"], DataConfig()) is space
