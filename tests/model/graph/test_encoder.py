"""The frame of the graph blocks: hops, edge dropout, penalties, and the rules of their settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from model.graph.encoder import AttentionGraphConfig, GraphBlock, GraphBlockConfig
from model.graph.kinds import GATConfig, GATv2Config, SAGEConfig
from tests.model.samples import DAYS, SIZES, STOCKS, edges, members, normal

EVERYBODY = torch.ones(DAYS, STOCKS, dtype=torch.bool)
FRAMED = [m for m in members("graph") if issubclass(m, GraphBlockConfig)]
ATTENTION = [m for m in members("graph") if issubclass(m, AttentionGraphConfig)]
each_framed = pytest.mark.parametrize("member", FRAMED, ids=lambda m: m().kind)
each_attention = pytest.mark.parametrize("member", ATTENTION, ids=lambda m: m().kind)


def _block(config: GraphBlockConfig) -> GraphBlock:
    torch.manual_seed(0)
    return config.build(SIZES)


def _chain(length: int) -> tuple[Tensor, Tensor]:
    """Each stock of one day hears the one before it."""
    source = torch.arange(length - 1)
    return torch.stack([source, source + 1]), normal(length - 1, SIZES.edge_attributes, seed=3)


@each_framed
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_hop_is_a_step_along_the_edges(member: type[GraphBlockConfig], layers: int) -> None:
    block, h, (index, attr) = _block(member(layers=layers)).eval(), normal(1, 6, SIZES.hidden), _chain(6)
    other = h.clone()
    other[0, 0] += 2
    everybody = torch.ones(1, 6, dtype=torch.bool)
    changed = (block(h, everybody, index, attr)[0] - block(other, everybody, index, attr)[0]).abs().amax(dim=-1)[0]
    reached = (changed > 1e-6).nonzero().flatten().tolist()
    assert set(range(1, layers + 1)) <= set(reached) <= set(range(layers + 1))


def test_later_hops_read_what_earlier_ones_added() -> None:
    block, h, (index, attr) = _block(GATv2Config(layers=2)).eval(), normal(DAYS, STOCKS, SIZES.hidden), edges()
    first, second = block.operators
    flat = h.flatten(0, 1)
    message = first(flat, index, attr).message_MH
    expected = second(flat + torch.nn.functional.elu(message), index, attr).message_MH
    torch.testing.assert_close(block(h, EVERYBODY, index, attr)[0].flatten(0, 1), expected)


@each_framed
@pytest.mark.parametrize("training", [False, True])
def test_without_edges_it_refuses_and_says_what_to_do(member: type[GraphBlockConfig], training: bool) -> None:
    none = torch.empty(2, 0, dtype=torch.long), torch.empty(0, SIZES.edge_attributes)
    with pytest.raises(ValueError, match=r"must get edges.*Use graph kind 'identity'"):
        _block(member()).train(training)(normal(DAYS, STOCKS, SIZES.hidden), EVERYBODY, *none)


def test_edge_dropout_leaves_out_its_share_of_edges_with_their_attributes_in_training_alone() -> None:
    block = _block(GATv2Config(edge_dropout=0.3))
    index, attr = torch.stack([torch.arange(4000), torch.arange(4000)]), normal(4000, SIZES.edge_attributes)
    kept_index, kept_attr = block.train()._kept(index, attr)
    assert abs(kept_index.shape[1] / 4000 - 0.7) < 0.03
    assert torch.equal(kept_attr, attr[kept_index[0]])
    assert block.eval()._kept(index, attr)[0] is index


def test_a_pass_that_lost_every_edge_is_finite() -> None:
    block = _block(GATv2Config(edge_dropout=0.999999)).train()
    message, penalties = block(normal(1, 2, SIZES.hidden), EVERYBODY[:1, :2], *_chain(2))
    assert message.isfinite().all()
    assert all(value.isfinite() for value in penalties.values())


@each_attention
def test_penalties_are_told_in_training_alone(member: type[AttentionGraphConfig]) -> None:
    block, arguments = _block(member()), (normal(DAYS, STOCKS, SIZES.hidden), EVERYBODY, *edges())
    assert block.train()(*arguments)[1].keys() == {"edge_weight", "attention_entropy"}
    assert block.eval()(*arguments)[1] == {}


@each_attention
@pytest.mark.parametrize("layers", [1, 2])
def test_penalties_are_their_measures_times_their_weights(member: type[AttentionGraphConfig], layers: int) -> None:
    block = _block(member(layers=layers, edge_weight_penalty=0.5, attention_entropy_penalty=0.25, edge_dropout=0.0))
    h, (index, attr) = normal(DAYS, STOCKS, SIZES.hidden), edges()
    penalties = block.train()(h, EVERYBODY, index, attr)[1]
    block.eval()
    attention = torch.stack([each.attention_EA for each in block.hear(h.flatten(0, 1), index, attr)])
    weight = attention.unflatten(1, (DAYS * STOCKS, 3))  # three neighbours each, target by target
    measured = (
        ((3 * weight.square().sum(2) - 1) / 2).mean(),
        (-(weight * weight.log()).sum(2) / torch.tensor(3.0).log()).mean(),
    )
    if layers == 1:  # with more hops, dropout of the first one's weights moves the second's
        torch.testing.assert_close(penalties["edge_weight"], 0.5 * measured[0])
        torch.testing.assert_close(penalties["attention_entropy"], 0.25 * measured[1])
    assert all(0 < float(value) < 0.5 for value in penalties.values())


@each_attention
@pytest.mark.parametrize("name", ["edge_weight", "attention_entropy"])
def test_descending_a_penalty_moves_the_attention_as_it_claims(member: type[AttentionGraphConfig], name: str) -> None:
    """The edge-weight penalty evens attention out, the entropy penalty sharpens it."""
    block = _block(member(dropout=0.0, edge_dropout=0.0)).train()
    arguments = 2 * normal(DAYS, STOCKS, SIZES.hidden), EVERYBODY, *edges()
    optimiser = torch.optim.Adam(block.parameters(), lr=0.02)
    told: list[dict[str, float]] = []
    for _ in range(25):
        penalties = block(*arguments)[1]
        told.append({key: float(value) for key, value in penalties.items()})
        optimiser.zero_grad()
        penalties[name].backward()
        optimiser.step()
    other = {"edge_weight": "attention_entropy", "attention_entropy": "edge_weight"}[name]
    assert told[-1][name] < 0.9 * told[0][name]
    assert told[-1][other] > told[0][other], "even attention has entropy, sharp attention weight on few"


@pytest.mark.parametrize("name", ["edge_weight_penalty", "attention_entropy_penalty"])
def test_a_penalty_of_zero_must_be_waived_by_name(name: str) -> None:
    with pytest.raises(ValidationError, match=rf"{name} must be above 0, got 0\. To do without it, name it in waived"):
        GATv2Config(**{name: 0.0})
    config = GATv2Config(**{name: 0.0}, waived_penalties=(name,))
    told = _block(config).train()(normal(DAYS, STOCKS, SIZES.hidden), EVERYBODY, *edges())[1]
    assert name.removesuffix("_penalty") not in told
    with pytest.raises(ValidationError, match=rf"{name} is waived and must be 0"):
        GATv2Config(waived_penalties=(name,))


def test_without_attention_there_is_nothing_to_penalise() -> None:
    assert _block(SAGEConfig()).train()(normal(DAYS, STOCKS, SIZES.hidden), EVERYBODY, *edges())[1] == {}
    with pytest.raises(ValidationError, match="Extra inputs"):
        SAGEConfig.model_validate({"edge_weight_penalty": 0.01})


@each_attention
def test_heads_must_divide_the_hidden_size(member: type[AttentionGraphConfig]) -> None:
    with pytest.raises(ValueError, match=f"hidden size {SIZES.hidden}, got 3"):
        member(heads=3).build(SIZES)


@pytest.mark.parametrize("settings", [{"layers": 0}, {"layers": 4}, {"edge_dropout": 1.0}, {"temperature": 0.0}])
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        GATConfig.model_validate(settings)


def test_what_pyg_generates_does_not_stay_in_the_temporary_folder(tmp_path: Path) -> None:
    code = (
        "import sys; from model.graph.kinds import GATv2Config; from tests.model.samples import SIZES; "
        "GATv2Config().build(SIZES); print(sum(name.startswith('model.graph.gatv2_') for name in sys.modules))"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0, "PyG has generated code"
    assert not list(tmp_path.iterdir())
