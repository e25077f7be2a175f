"""gat_ablation: its switches turn the blocks they name, and a block's parameters exist where the block is on."""

from __future__ import annotations

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from search_spaces.gat_ablation import SPACE
from tests.search_spaces.helpers import Draw, draw_random

SWITCHES = ("gat", "fan", "san", "freq_dropout", "small_init")
ALWAYS = {"hidden", "huber_delta", "learning_rate", *SWITCHES}
CONDITIONAL = {"gat_heads": "gat", "gat_temperature": "gat", "freq_dropout_p": "freq_dropout"}


@pytest.fixture(scope="module")
def draws() -> list[Draw]:
    return list(draw_random(SPACE, number=100))


def test_every_switch_is_drawn_both_ways(draws: list[Draw]) -> None:
    for name in SWITCHES:
        assert {drawn.params[name] for drawn in draws} == {True, False}


def test_parameters_exist_only_where_their_block_is_on(draws: list[Draw]) -> None:
    for drawn in draws:
        conditional = {name for name, switch in CONDITIONAL.items() if drawn.params[switch]}
        assert set(drawn.params) == ALWAYS | conditional


def test_switches_turn_their_blocks(draws: list[Draw]) -> None:
    norms = {(True, True): "fan_san", (True, False): "fan", (False, True): "san", (False, False): "identity"}
    for params, model in ((drawn.params, drawn.config.model) for drawn in draws):
        assert model.graph.kind == ("gatv2" if params["gat"] else "identity")
        assert model.fusion.kind == ("gated" if params["gat"] else "identity")
        assert model.norm.kind == norms[params["fan"], params["san"]]
        assert model.augment.kind == ("freq_dropout" if params["freq_dropout"] else "identity")
        assert model.head.small_init == params["small_init"]


def test_drawn_values_arrive(draws: list[Draw]) -> None:
    for params, config in ((drawn.params, drawn.config) for drawn in draws):
        assert config.model.hidden == params["hidden"]
        assert config.train.loss.delta == params["huber_delta"]
        assert config.train.learning_rate == params["learning_rate"]
        if params["gat"]:
            assert (config.model.graph.heads, config.model.graph.temperature) == (
                params["gat_heads"],
                params["gat_temperature"],
            )
        if params["freq_dropout"]:
            assert config.model.augment.probability == params["freq_dropout_p"]


def test_distributions_are_typed(draws: list[Draw]) -> None:
    distributions = {name: kind for drawn in draws for name, kind in drawn.distributions.items()}
    for name in SWITCHES:
        assert distributions[name] == CategoricalDistribution((True, False))
    for name in ("hidden", "gat_heads"):
        assert isinstance(distributions[name], CategoricalDistribution)
    for name in ("learning_rate", "huber_delta", "gat_temperature"):
        assert isinstance(distributions[name], FloatDistribution)
        assert distributions[name].log


def test_arms_are_those_of_the_ablation() -> None:
    assert SPACE.retuned == ("no_gat", "no_fan", "no_san", "no_freq_dropout")
    placebos = {name for name, arm in SPACE.arms.items() if arm.is_placebo}
    assert placebos == {"shuffled_graph", "self_only", "revin"}
    assert set(SPACE.arms) - placebos == {*SPACE.retuned, "no_small_init"}


@pytest.mark.parametrize(
    ("arm", "slots"),
    [
        ("no_gat", {"graph": "identity", "fusion": "identity"}),
        ("no_fan", {"norm": "san"}),
        ("no_san", {"norm": "fan"}),
        ("no_freq_dropout", {"augment": "identity"}),
        ("no_small_init", {"head": "point"}),
    ],
)
def test_an_arm_turns_its_own_slot_alone(arm: str, slots: dict[str, str]) -> None:
    reference, config = SPACE.reference.model, SPACE.arm_configs(SPACE.reference)[arm].model
    changed = {name for name in type(config).model_fields if getattr(config, name) != getattr(reference, name)}
    assert changed == set(slots)
    assert {name: getattr(config, name).kind for name in slots} == slots


def test_the_reference_has_every_block_that_an_arm_takes_away() -> None:
    model = SPACE.reference.model
    assert (model.graph.kind, model.norm.kind, model.augment.kind) == ("gatv2", "fan_san", "freq_dropout")
    assert model.head.small_init
