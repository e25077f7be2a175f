"""The predecessor's eight switches: off is the plain model, on turns one thing each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch_geometric.nn import GATv2Conv

from model.atft import ATFT
from model.augment.identity import IdentityAugmentConfig
from model.fusion.identity import IdentityFusionConfig
from model.graph.identity import NoGraphBlockConfig
from model.graph.kinds import GATv2Config
from model.head.point import PointHeadConfig
from model.losses.config import MSELossConfig
from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from search_spaces.improvements import Improvements
from tests.model.samples import SIZES, inputs, normal

PLAIN = TrialConfig().replace(
    **{
        "model.augment": IdentityAugmentConfig(),
        "model.head": PointHeadConfig(small_init=False, layer_scale=None),
        "model.graph": GATv2Config(temperature=1.0),
        "train.ema_decay": 0.0,
        "train.loss": MSELossConfig(),
        "train.horizon_weights": (1.0, 1.0, 1.0, 1.0),
        "data.scaler": "exact",
    }
)

ON: dict[str, tuple[Any, set[str]]] = {
    "output_head_small_init": (True, {"model.head.small_init", "model.head.layer_scale"}),
    "gat_temperature": (0.8, {"model.graph.temperature"}),
    "freq_dropout_p": (0.1, {"model.augment.kind", "model.augment.probability", "model.augment.width"}),
    "use_ema": (True, {"train.ema_decay"}),
    "huber_loss": (True, {"train.loss.kind", "train.loss.delta", "train.horizon_weights"}),
    "online_normalization": (True, {"data.scaler"}),
    "enable_wandb": (True, set()),
    "auto_recover_oom": (True, set()),
}


def leaves(content: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        inner = f"{path}.{name}".lstrip(".")
        yield from leaves(value, inner) if isinstance(value, dict) else [(inner, value)]


def different(one: TrialConfig, other: TrialConfig) -> set[str]:
    """Dotted settings that the two do not share."""
    first, second = (dict(leaves(config.model_dump())) for config in (one, other))
    return {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)}


def test_all_are_off_by_default_and_off_is_the_plain_model() -> None:
    assert Improvements().configure(TrialConfig()) == PLAIN
    assert Improvements().machine == {}


def test_every_switch_is_tried_here() -> None:
    assert set(ON) == set(Improvements.model_fields)


@pytest.mark.parametrize("name", ON)
def test_a_switch_turns_its_own_settings_and_no_other(name: str) -> None:
    value, expected = ON[name]
    switched = Improvements(**{name: value})
    assert different(switched.configure(TrialConfig()), PLAIN) == expected
    assert bool(expected) is not bool(switched.machine), "a setting of the result or of the machine, never both"


def test_machine_switches_are_environment_variables() -> None:
    on = Improvements(enable_wandb=True, auto_recover_oom=True)
    assert on.machine == {"ATFT_WANDB": "1", "ATFT_RECOVER_OOM": "1"}


def test_a_switch_that_is_off_turns_off_what_the_base_has_on() -> None:
    base = TrialConfig().replace(**{"model.graph.temperature": 3.0, "train.ema_decay": 0.5})
    assert different(Improvements().configure(base), PLAIN) == set()


def test_off_is_bit_identical_to_a_network_without_the_parts() -> None:
    """The plain operator of PyG in the graph slot, nothing in the augmentation slot: the same bits, gradients too."""
    model = Improvements().configure(TrialConfig()).model.model_copy(update={"hidden": SIZES.hidden})
    ours, plain = (ATFT(model, SIZES, seed=0).train() for _ in range(2))
    own = plain.graph.operators[0]
    theirs = GATv2Conv(8, 2, heads=4, dropout=own.dropout, edge_dim=4, add_self_loops=False)
    theirs.load_state_dict(own.state_dict())
    own.edge_update, own.message = theirs.edge_update, theirs.message  # its attention: no temperature, its own dropout
    own.dropout = theirs.dropout = ours.graph.operators[0].dropout = 0.0
    plain.augment = torch.nn.Identity()
    told = []
    for net in (ours, plain):
        torch.manual_seed(1)
        out = net(*inputs())
        (out.score_BNK * normal(*out.score_BNK.shape)).sum().backward()
        told.append((out.score_BNK, [p.grad for p in net.head.parameters()]))
    assert torch.equal(told[0][0], told[1][0])
    assert all(torch.equal(one, other) for one, other in zip(told[0][1], told[1][1], strict=True))


def test_the_start_is_the_usual_one_where_the_small_one_is_off() -> None:
    config = Improvements().configure(TrialConfig()).model.head
    torch.manual_seed(0)
    head = config.build(SIZES)
    torch.manual_seed(0)
    dense, out = torch.nn.Linear(SIZES.hidden, SIZES.hidden), torch.nn.Linear(SIZES.hidden, SIZES.horizons)
    assert torch.equal(head.body.dense[0].weight, dense.weight)
    assert torch.equal(head.out.weight, out.weight)
    assert torch.equal(head.out.bias, out.bias)


@pytest.mark.parametrize(
    "text",
    [
        "improvements:\n  huber_loss: true\n  gat_temperature: 0.8\ntrain: {epochs: 3}",
        "huber_loss: true\ngat_temperature: 0.8",
    ],
)
def test_an_old_file_is_read(text: str) -> None:
    assert Improvements.from_yaml(text) == Improvements(huber_loss=True, gat_temperature=0.8)


@pytest.mark.parametrize("text", ["", "improvements:"])
def test_an_empty_section_switches_nothing_on(text: str) -> None:
    assert Improvements.from_yaml(text) == Improvements()


@pytest.mark.parametrize(
    "text", ["improvements: {use_emma: true}", "improvements: {gat_temperature: 0}", "a: [", "- 1"]
)
def test_an_unknown_switch_or_value_is_refused(text: str) -> None:
    with pytest.raises(SpaceError, match="eight known switches"):
        Improvements.from_yaml(text)


def test_a_temperature_without_attention_is_refused() -> None:
    base = TrialConfig().replace(**{"model.graph": NoGraphBlockConfig(), "model.fusion": IdentityFusionConfig()})
    assert Improvements().configure(base).model.graph.kind == "identity"
    with pytest.raises(SpaceError, match=r"no 'model\.graph\.temperature'"):
        Improvements(gat_temperature=0.8).configure(base)
