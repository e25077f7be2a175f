"""Parameter groups: every parameter in exactly one, decays where a matrix is, multiplied as the block was told."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from model.config import ModelConfig
from model.groups import GroupConfig, parameter_groups
from tests.model.samples import REFERENCE, every_network, network, variant

NETWORKS = [pytest.param(config, id=name) for name, config in every_network()]


@pytest.mark.parametrize("config", NETWORKS)
def test_every_parameter_is_in_exactly_one_group(config: ModelConfig) -> None:
    net = network(config)
    groups = parameter_groups(net, 0.01, {})
    listed = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(listed) == len(set(listed))
    assert set(listed) == {id(parameter) for parameter in net.parameters()}


@pytest.mark.parametrize("config", NETWORKS)
def test_matrices_decay_and_nothing_else(config: ModelConfig) -> None:
    net = network(config)
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    for group in parameter_groups(net, 0.01, {}):
        for parameter in group["params"]:
            name = names[id(parameter)]
            last = name.rsplit(".", 1)[-1]
            spared = parameter.ndim <= 1 or "bias" in last or last in ("scale", "place_LH") or ".sector." in name
            assert group["weight_decay"] == (0.0 if spared else 0.01), name


def test_a_block_gets_its_multipliers_and_the_others_one() -> None:
    groups = parameter_groups(network(), 0.01, {"graph": GroupConfig(learning_rate=0.5, weight_decay=3.0)})
    by_name = {group["name"]: group for group in groups}
    assert by_name["graph/matrices"]["multiplier"] == 0.5
    assert by_name["graph/others"]["multiplier"] == 0.5
    assert by_name["graph/matrices"]["weight_decay"] == pytest.approx(0.03)
    assert by_name["graph/others"]["weight_decay"] == 0.0
    rest = [group for group in groups if not group["name"].startswith("graph/")]
    assert {group["multiplier"] for group in rest} == {1.0}
    assert {group["weight_decay"] for group in rest} == {0.0, 0.01}


def test_torchs_optimiser_takes_them() -> None:
    net = network()
    optimiser = torch.optim.AdamW(parameter_groups(net, 0.01, {"head": GroupConfig(learning_rate=0.0)}), lr=1e-3)
    assert sum(len(group["params"]) for group in optimiser.param_groups) == len(list(net.parameters()))


def test_multipliers_for_a_block_without_parameters_are_refused() -> None:
    net = network(variant(REFERENCE, augment={"kind": "identity"}))
    with pytest.raises(ValueError, match="must name blocks that have parameters, but augment has none"):
        parameter_groups(net, 0.01, {"augment": GroupConfig(learning_rate=0.5)})
    with pytest.raises(ValidationError):
        GroupConfig(learning_rate=-1)
