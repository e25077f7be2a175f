"""ModelConfig: rules between its fields, each message with the offending values."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from model.config import ModelConfig
from model.fusion.identity import IdentityFusionConfig
from model.graph.encoder import GraphBlockConfig
from model.graph.identity import NoGraphBlockConfig
from model.graph.kinds import GATConfig, GATv2Config, GINConfig, SAGEConfig, TransformerGraphConfig
from model.protocols import Sizes
from model.temporal.identity import LastDayConfig
from model.temporal.tft import TFTConfig
from tests.model.samples import every_network


def test_the_reference_has_a_working_block_in_every_slot() -> None:
    kinds = {slot: block["kind"] for slot, block in ModelConfig().model_dump(exclude={"hidden"}).items()}
    assert "identity" not in kinds.values()


@pytest.mark.parametrize(
    ("blocks", "named"),
    [({"temporal": TFTConfig(heads=3)}, "tft"), ({"graph": GATv2Config(heads=3)}, "gatv2")],
)
def test_heads_must_divide_hidden(blocks: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ModelConfig(hidden=32, **blocks)
    for said in (named, "hidden=32", "heads=3"):
        assert said in str(refused.value)


def test_heads_that_divide_hidden_are_accepted() -> None:
    config = ModelConfig(hidden=12, temporal=TFTConfig(heads=3), graph=GATv2Config(heads=6))
    assert (config.temporal, config.graph) == (TFTConfig(heads=3), GATv2Config(heads=6))


def test_the_default_heads_are_checked_too() -> None:
    with pytest.raises(ValidationError, match=r"hidden=6.*heads=4"):
        ModelConfig(hidden=6)


def test_a_block_without_heads_puts_no_rule_on_hidden() -> None:
    config = ModelConfig(hidden=7, temporal=LastDayConfig(), graph=NoGraphBlockConfig(), fusion=IdentityFusionConfig())
    assert config.hidden == 7


def test_without_a_graph_block_there_is_nothing_to_fuse() -> None:
    with pytest.raises(ValidationError) as refused:
        ModelConfig(graph=NoGraphBlockConfig())
    for said in ("fusion must be 'identity' or 'concat' where graph is 'identity'", "'gated'"):
        assert said in str(refused.value)


@pytest.mark.parametrize("hidden", [3, 0, -8])
def test_a_network_has_at_least_four_channels(hidden: int) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 4"):
        ModelConfig(hidden=hidden)


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValidationError, match=r"gat_v9(.|\n)*'gatv2', 'gat', 'sage', .*'identity'"):
        ModelConfig.model_validate({"graph": {"kind": "gat_v9"}})


@pytest.mark.parametrize(("name", "value"), [("no_such_slot", {}), ("graph", {"kind": "gatv2", "head": 2})])
def test_an_unknown_key_is_refused_at_every_level(name: str, value: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        ModelConfig.model_validate({name: value})


def test_a_network_cannot_be_changed_after_it_was_checked() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ModelConfig().hidden = 7


@pytest.mark.parametrize("config", [pytest.param(config, id=name) for name, config in every_network()])
def test_every_network_is_the_same_after_json(config: ModelConfig) -> None:
    assert ModelConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    "block",
    [
        {"temporal": {"kind": "tft", "dropout": 1.0}},
        {"temporal": {"kind": "tft", "heads": 0}},
        {"graph": {"kind": "gatv2", "temperature": 0.0}},
        {"graph": {"kind": "gatv2", "edge_dropout": 1.0}},
        {"augment": {"kind": "freq_dropout", "probability": 0.0}},
        {"augment": {"kind": "freq_dropout", "width": 1.5}},
        {"norm": {"kind": "fan", "top_k": 0}},
        {"norm": {"kind": "san", "slice_length": 1}},
        {"head": {"kind": "point", "dropout": -0.1}},
    ],
    ids=str,
)
def test_a_value_out_of_range_is_refused(block: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="should be"):
        ModelConfig.model_validate(block)


@pytest.mark.parametrize("kind", [GATConfig, GATv2Config, GINConfig, SAGEConfig, TransformerGraphConfig])
def test_every_operator_of_a_graph_has_parameters_as_is_taken_for_granted(kind: type[GraphBlockConfig]) -> None:
    block = kind().build(Sizes(features=2, hidden=8, window=10, edge_attributes=4, horizons=1))
    assert sum(parameter.numel() for parameter in block.parameters()) > 0
    assert "graph" in ModelConfig(graph=kind()).check(10, 1)


def test_a_check_draws_no_random_number_and_takes_no_memory_for_a_large_network() -> None:
    state = torch.random.get_rng_state()
    assert "temporal" in ModelConfig(hidden=28).check(20, 2)
    assert "temporal" in ModelConfig(hidden=2**20).check(20, 2)  # its LSTM alone would take 32 TiB
    assert torch.equal(torch.random.get_rng_state(), state)


def test_what_takes_long_to_import_is_not_needed_for_a_command_to_say_what_it_takes() -> None:
    slow = ("torch_geometric", "torch._dynamo")
    told = f"import search_spaces, sys; print([name for name in {slow} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", told], capture_output=True, text=True).stdout == "[]\n"
