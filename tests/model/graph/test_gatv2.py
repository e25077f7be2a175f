"""GATv2 against a loop over edges, its temperature, and what it does without edges."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.graph.gatv2 import GATv2
from model.graph.kinds import GATv2Config
from tests.model.samples import DAYS, SIZES, STOCKS, edges, normal

NODES = DAYS * STOCKS


def _gat(**settings: object) -> GATv2:
    torch.manual_seed(0)
    operator = GATv2(SIZES, GATv2Config(**{"heads": 2, **settings})).eval()
    operator.bias.data.uniform_(-1, 1)  # as it is after training
    return operator


def _attention(operator: GATv2, h: Tensor, index: Tensor, attr: Tensor) -> Tensor:
    """Weight per edge and head: [E, heads]."""
    return operator(h, index, attr).attention_EA


def _by_edges(conv: GATv2, h: Tensor, index: Tensor, attr: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The documented equation, one edge and head at a time: output [M, H], weights [E, heads]."""
    heads = conv.heads
    left, right, between = (
        map_(values).unflatten(-1, (heads, -1))
        for map_, values in ((conv.lin_l, h), (conv.lin_r, h), (conv.lin_edge, attr))
    )
    out, weights = torch.zeros_like(left), torch.zeros(index.shape[1], heads)
    for head in range(heads):
        for i in range(len(h)):
            incoming = [e for e in range(index.shape[1]) if index[1, e] == i]
            logits = []
            for e in incoming:
                pair = left[index[0, e], head] + right[i, head] + between[e, head]
                logits.append((conv.att[0, head] * torch.where(pair > 0, pair, 0.2 * pair)).sum() / temperature)
            total = sum((logit.exp() for logit in logits), torch.zeros(()))
            for e, logit in zip(incoming, logits, strict=True):
                weights[e, head] = logit.exp() / total
                out[i, head] = out[i, head] + weights[e, head] * left[index[0, e], head]
    return out.flatten(1) + conv.bias, weights


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("heads", [1, 4])
def test_the_output_computes_its_equation(temperature: float, heads: int) -> None:
    block, h, (index, attr) = _gat(heads=heads, temperature=temperature), normal(NODES, SIZES.hidden), edges()
    with torch.no_grad():
        out, weights = _by_edges(block, h, index, attr, temperature)
        torch.testing.assert_close(block(h, index, attr).message_MH, out)
        torch.testing.assert_close(_attention(block, h, index, attr), weights)


def test_a_lower_temperature_sharpens_the_attention() -> None:
    h, (index, attr) = normal(NODES, SIZES.hidden), edges()
    strongest = []
    for temperature in (0.1, 1.0, 10.0):
        weights = _attention(_gat(temperature=temperature), h, index, attr)
        strongest.append(weights.unflatten(0, (NODES, -1)).amax(dim=1).mean().item())
    assert strongest[0] > strongest[1] + 0.05 > strongest[2] + 0.1
    assert strongest[2] < 0.4  # nearly a third each


def test_edge_attributes_matter_each_of_them() -> None:
    block, h, (index, attr) = _gat(), normal(NODES, SIZES.hidden), edges()
    for column in range(SIZES.edge_attributes):
        other = attr.clone()
        other[:, column] += normal(len(attr), seed=9)
        assert not torch.allclose(block(h, index, attr).message_MH, block(h, index, other).message_MH, atol=1e-3)


def test_an_edge_speaks_to_its_target_alone() -> None:
    block, h, (index, attr) = _gat(), normal(NODES, SIZES.hidden), edges()
    other = attr.clone()
    other[4] += 1
    changed = (block(h, index, attr).message_MH != block(h, index, other).message_MH).any(dim=-1)
    assert changed.nonzero().flatten().tolist() == [index[1, 4].item()]


def test_a_source_reaches_its_targets_and_itself_alone() -> None:
    index = torch.tensor([[0, 0, 3], [1, 2, 0]])
    block, h, attr = _gat(), normal(5, SIZES.hidden), normal(3, SIZES.edge_attributes)
    other = h.clone()
    other[0] += 1
    changed = (block(h, index, attr).message_MH - block(other, index, attr).message_MH).abs().amax(dim=-1) > 1e-6
    assert changed.tolist() == [False, True, True, False, False]  # 0 itself hears 3 alone, with weight one


def test_a_stock_without_edges_gets_the_bias_alone() -> None:
    block, h = _gat(), normal(4, SIZES.hidden)
    out = block(h, torch.tensor([[0], [1]]), normal(1, SIZES.edge_attributes)).message_MH
    torch.testing.assert_close(out[[0, 2, 3]], block.bias.expand(3, -1))
    assert not torch.allclose(out[1], block.bias, atol=1e-3)


def test_attention_dropout_works_in_training_alone_and_leaves_the_weights_that_are_told_whole() -> None:
    block, h, (index, attr) = _gat(dropout=0.5), normal(NODES, SIZES.hidden), edges()
    whole, told = block.eval()(h, index, attr), block.train()(h, index, attr)
    assert not torch.allclose(whole.message_MH, told.message_MH, atol=1e-3)
    assert torch.equal(whole.attention_EA, told.attention_EA)


def test_heads_must_divide_the_hidden_size() -> None:
    with pytest.raises(ValueError, match=f"hidden size {SIZES.hidden}, got 3"):
        GATv2Config(heads=3).build(SIZES)
