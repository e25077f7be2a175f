"""GAT, transformer, SAGE, GIN and the placebo: each against a loop over edges, and stocks that nobody speaks to."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from model.graph.encoder import AttentionGraphConfig
from model.graph.gat import GAT
from model.graph.gin import GIN
from model.graph.kinds import GATConfig, GATv2Config, GINConfig, SAGEConfig, TransformerGraphConfig
from model.graph.sage import SAGE
from model.graph.self_only import SelfOnlyConfig
from model.graph.transformer import GraphTransformer
from tests.model.samples import DAYS, SIZES, STOCKS, edges, members, normal

NODES, H = DAYS * STOCKS, SIZES.hidden


def _incoming(index: Tensor, node: int) -> list[int]:
    return [e for e in range(index.shape[1]) if index[1, e] == node]


def _softmax(logits: list[Tensor]) -> list[Tensor]:
    exponents = [logit.exp() for logit in logits]
    return [each / sum(exponents[1:], exponents[0]) for each in exponents]


def _leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def _gat(op: GAT, h: Tensor, index: Tensor, attr: Tensor, node: int) -> Tensor:
    out = []
    for head in range(op.heads):
        rows = slice(head * op.out_channels, (head + 1) * op.out_channels)
        value, edge = h @ op.lin.weight[rows].T, attr @ op.lin_edge.weight[rows].T
        logits = []
        for e in _incoming(index, node):
            own = value[node] @ op.att_dst[0, head] + value[index[0, e]] @ op.att_src[0, head]
            logits.append(_leaky(own + edge[e] @ op.att_edge[0, head]) / op.temperature)
        weights = _softmax(logits)
        out.append(sum(w * value[index[0, e]] for w, e in zip(weights, _incoming(index, node), strict=True)))
    return torch.cat(out) + op.bias


def _transformer(op: GraphTransformer, h: Tensor, index: Tensor, attr: Tensor, node: int) -> Tensor:
    out = []
    for head in range(op.heads):
        rows = slice(head * op.out_channels, (head + 1) * op.out_channels)
        query, key, value = (h @ layer.weight[rows].T for layer in (op.lin_query, op.lin_key, op.lin_value))
        edge = attr @ op.lin_edge.weight[rows].T
        scale = math.sqrt(op.out_channels) * op.temperature
        incoming = _incoming(index, node)
        weights = _softmax([query[node] @ (key[index[0, e]] + edge[e]) / scale for e in incoming])
        out.append(sum(w * (value[index[0, e]] + edge[e]) for w, e in zip(weights, incoming, strict=True)))
    return torch.cat(out) + op.lin_skip.weight @ h[node]


def _sage(op: SAGE, h: Tensor, index: Tensor, attr: Tensor, node: int) -> Tensor:
    heard = [torch.relu(h[index[0, e]] + op.lin_edge(attr[e])) for e in _incoming(index, node)]
    return op.lin_l(torch.stack(heard).mean(dim=0)) + op.lin_r(h[node])


def _gin(op: GIN, h: Tensor, index: Tensor, attr: Tensor, node: int) -> Tensor:
    total = (1 + op.conv.eps) * h[node]
    for e in _incoming(index, node):
        total = total + torch.relu(h[index[0, e]] + op.conv.lin(attr[e]))
    return op.conv.nn(total)


def _operator(kind: str, **settings: object) -> nn.Module:
    torch.manual_seed(0)
    built = {
        "gat": lambda: GAT(SIZES, GATConfig(heads=2, **settings)),
        "transformer": lambda: GraphTransformer(SIZES, TransformerGraphConfig(heads=2, **settings)),
        "sage": lambda: SAGE(SIZES, SAGEConfig(**settings)),
        "gin": lambda: GIN(SIZES, GINConfig(**settings)),
    }[kind]().eval()
    for name, parameter in built.named_parameters():
        if name.endswith(("bias", "eps")):
            parameter.data.uniform_(-1, 1)  # as it is after training
    return built


LOOPS: dict[str, Callable[..., Tensor]] = {"gat": _gat, "transformer": _transformer, "sage": _sage, "gin": _gin}


@pytest.mark.parametrize("kind", LOOPS)
def test_the_message_computes_its_equation(kind: str) -> None:
    op, h, (index, attr) = _operator(kind), normal(NODES, H), edges()
    with torch.no_grad():
        given = op(h, index, attr).message_MH
        for node in (0, 5, NODES - 1):
            torch.testing.assert_close(given[node], LOOPS[kind](op, h, index, attr, node), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["gat", "transformer"])
@pytest.mark.parametrize("temperature", [0.3, 4.0])
def test_the_temperature_stands_in_the_equation(kind: str, temperature: float) -> None:
    op, h, (index, attr) = _operator(kind, temperature=temperature), normal(NODES, H), edges()
    with torch.no_grad():
        given = op(h, index, attr).message_MH
        torch.testing.assert_close(given[7], LOOPS[kind](op, h, index, attr, 7), atol=1e-5, rtol=1e-4)


ATTENTION = [m for m in members("graph") if issubclass(m, AttentionGraphConfig)]


@pytest.mark.parametrize("member", ATTENTION, ids=lambda m: m().kind)
def test_a_lower_temperature_sharpens_the_attention(member: type[AttentionGraphConfig]) -> None:
    h, (index, attr) = 3 * normal(NODES, H), edges()
    strongest = []
    for temperature in (0.1, 1.0, 10.0):
        torch.manual_seed(0)
        operator = member(temperature=temperature).build(SIZES).eval().operators[0]
        weights = operator(h, index, attr).attention_EA
        strongest.append(weights.unflatten(0, (NODES, -1)).amax(dim=1).mean().item())
    assert strongest[0] > strongest[1] + 0.05
    assert strongest[1] > strongest[2] + 0.05
    assert strongest[2] < 0.45  # nearly a third each


@pytest.mark.parametrize("kind", LOOPS)
def test_every_edge_attribute_matters(kind: str) -> None:
    op, h, (index, attr) = _operator(kind), normal(NODES, H), edges()
    for column in range(SIZES.edge_attributes):
        other = attr.clone()
        other[:, column] += normal(len(attr), seed=9)
        apart = (op(h, index, attr).message_MH - op(h, index, other).message_MH).abs()
        assert (apart.amax(dim=-1) > 1e-4).all()


@pytest.mark.parametrize(
    ("kind", "hears_itself"), [("gat", False), ("transformer", True), ("sage", True), ("gin", True)]
)
def test_a_stock_without_edges_hears_itself_or_nothing(kind: str, hears_itself: bool) -> None:
    op, h = _operator(kind), normal(3, H)
    index, attr = torch.tensor([[0], [1]]), normal(1, SIZES.edge_attributes)
    out, other = (op(each, index, attr).message_MH for each in (h, h + 1))
    assert out.isfinite().all()
    assert torch.equal(out[2], other[2]) is not hears_itself


def test_the_placebo_is_one_map_of_the_own_state_and_hears_no_edge() -> None:
    block, h = SelfOnlyConfig().build(SIZES).eval(), normal(DAYS, STOCKS, H)
    eligible = torch.ones(DAYS, STOCKS, dtype=torch.bool)
    expected = h @ block.values[0].weight.T + block.values[0].bias
    none = torch.empty(2, 0, dtype=torch.long), torch.empty(0, SIZES.edge_attributes)
    for index, attr in (edges(), none):
        message, penalties = block(h, eligible, index, attr)
        torch.testing.assert_close(message, expected)
        assert penalties == {}


def test_the_placebo_has_as_many_hops_as_the_block_that_it_stands_for() -> None:
    block, h = SelfOnlyConfig(layers=3).build(SIZES).eval(), normal(DAYS, STOCKS, H)
    first, second, third = block.values
    one = h + nn.functional.elu(first(h))
    two = one + nn.functional.elu(second(one))
    given, _ = block(h, torch.ones(DAYS, STOCKS, dtype=torch.bool), *edges())
    torch.testing.assert_close(given, third(two))


@pytest.mark.parametrize("kind", [GATConfig, GATv2Config])
@pytest.mark.parametrize("heads", [1, 2, 4, 8])
def test_every_attribute_has_a_head_that_follows_it_from_the_start(
    kind: type[GATConfig | GATv2Config], heads: int
) -> None:
    torch.manual_seed(0)
    operator = kind(heads=heads).operator(SIZES._replace(hidden=16))
    index = torch.tensor([[1, 2], [0, 0]])
    for attribute in range(SIZES.edge_attributes):
        attr = torch.zeros(2, SIZES.edge_attributes)
        attr[1, attribute] = 3.0
        heard = operator(torch.zeros(3, 16), index, attr).attention_EA
        assert heard[1].max() > 0.8, "e^3 against one would be .95"
