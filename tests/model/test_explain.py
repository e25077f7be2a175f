"""Explanations: what they say is what the blocks compute; unasked they cost nothing, asked they change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.config import ModelConfig
from model.explain import edge_importance, explain
from model.fusion.alpha import AlphaFusionConfig
from model.graph.edges import KNNEdgesConfig
from model.graph.kinds import GATv2Config
from model.norm.fan import FANConfig
from model.norm.san import SANConfig
from tests.model.samples import DAYS, REFERENCE, SIZES, STOCKS, every_network, inputs, network, normal, variant

FEATURES = [f"f{k}" for k in range(SIZES.features)]
CODES = [f"{7200 + n}" for n in range(STOCKS)]
NETWORKS = [pytest.param(config, id=name) for name, config in every_network()]


@pytest.mark.parametrize("config", NETWORKS)
@pytest.mark.parametrize("training", [True, False])
def test_every_network_can_be_explained_and_is_left_as_it_was(config: ModelConfig, training: bool) -> None:
    net = network(config).train(training)
    before, state = {k: v.clone() for k, v in net.state_dict().items()}, torch.random.get_rng_state()
    told = explain(net, inputs(), FEATURES, CODES)
    assert list(told.feature_weight) == FEATURES
    assert sum(told.feature_weight.values()) == pytest.approx(SIZES.features, rel=1e-4)
    assert net.training is training
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in before.items())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_attention_is_told_edge_by_edge_with_codes() -> None:
    net, given = network(), inputs()
    edges = explain(net, given, FEATURES, CODES).edges
    source, target = given.edge_index.numpy()
    assert edges.source.tolist() == [CODES[n % STOCKS] for n in source]
    assert edges.target.tolist() == [CODES[n % STOCKS] for n in target]
    assert edges.day.tolist() == (target // STOCKS).tolist()
    for node in range(DAYS * STOCKS):
        here = (edges.day == node // STOCKS) & (edges.target == CODES[node % STOCKS])
        np.testing.assert_allclose(edges.weight_LEA[0, here].sum(axis=0), 1, rtol=1e-5)


def test_neighbours_that_were_chosen_in_the_hidden_state_are_told_too() -> None:
    net = network(variant(REFERENCE, graph=GATv2Config(edges=KNNEdgesConfig(k=2))))
    edges = explain(net, inputs(), FEATURES, CODES).edges
    assert len(edges.source) > 0
    assert (edges.source != edges.target).all()


def test_alpha_is_told() -> None:
    net = network(variant(REFERENCE, fusion=AlphaFusionConfig(alpha_init=0.4)))
    np.testing.assert_allclose(
        explain(net, inputs(), FEATURES, CODES).neighbours_share, np.full((DAYS, STOCKS), 0.4), rtol=1e-5
    )


def test_a_feature_that_the_gate_prefers_is_told_so() -> None:
    net = network()
    net.selection.joint.read_bias.data[0, 0, 3] += 3
    weights = explain(net, inputs(), FEATURES, CODES).feature_weight
    assert max(weights, key=weights.get) == "f3"


def _wave(cycles: int) -> torch.Tensor:
    """Windows of one frequency in every channel: [1, 1, L, H]."""
    day = torch.arange(SIZES.window) / SIZES.window
    return (2 * torch.pi * cycles * day).sin().view(1, 1, -1, 1).expand(1, 1, -1, SIZES.hidden)


def test_what_fan_removes_is_the_frequency_that_was_there() -> None:
    told = FANConfig(top_k=1).build(SIZES).removed(_wave(3) + 0.01 * normal(1, 1, SIZES.window, SIZES.hidden))
    assert told["frequency"].shape == (1, 1, SIZES.window // 2 + 1)
    assert told["frequency"][0, 0].argmax() == 3
    assert told["frequency"][0, 0, 3] == 1
    assert (told["energy"] > 0.95).all()


def test_what_san_removes_is_the_mean_and_deviation_of_slices() -> None:
    x = normal(2, 3, SIZES.window, SIZES.hidden)
    told = SANConfig(slice_length=5).build(SIZES).removed(x)
    slices = x.unflatten(2, (-1, 5))
    torch.testing.assert_close(told["mean"], slices.mean(dim=3))
    torch.testing.assert_close(told["deviation"], slices.std(dim=3, unbiased=False), atol=1e-3, rtol=1e-3)


# --- edges left out


def test_the_importance_of_an_edge_is_what_its_day_loses_without_it() -> None:
    net, given, edge = network(), inputs(), 20
    kept = torch.arange(given.edge_index.shape[1]) != edge
    with torch.no_grad():
        whole = net(*given).score_BNK
        without = net(*given._replace(edge_index=given.edge_index[:, kept], edge_attr=given.edge_attr[kept])).score_BNK
    day = int(given.edge_index[1, edge]) // STOCKS
    expected = (whole - without)[day].abs().sum(dim=0)
    np.testing.assert_allclose(edge_importance(net, given, [edge])[0], expected, rtol=1e-4, atol=1e-7)
    assert edge_importance(net, given, []).shape == (0, SIZES.horizons)


def test_the_only_edge_that_carries_something_is_the_important_one() -> None:
    net, given = network(variant(REFERENCE, graph=GATv2Config(temperature=0.05))), inputs()
    attention = explain(net, given, FEATURES, CODES).edges.weight_LEA[0].mean(axis=1)
    importance = edge_importance(net, given, range(len(attention))).mean(axis=1)
    assert np.corrcoef(attention, importance)[0, 1] > 0.5


@pytest.mark.parametrize("edge", [-1, 54])
def test_an_edge_that_is_not_there_is_refused(edge: int) -> None:
    with pytest.raises(ValueError, match=r"among the 54 that the graph block hears over, got \["):
        edge_importance(network(), inputs(), [edge])


@pytest.mark.parametrize("graph", [{"kind": "self"}, {"kind": "identity"}], ids=str)
def test_where_nobody_is_heard_no_edge_can_be_left_out(graph: object) -> None:
    config = ModelConfig.model_validate(REFERENCE.model_dump() | {"graph": graph, "fusion": {"kind": "identity"}})
    with pytest.raises(ValueError, match="this network's hears nobody"):
        edge_importance(network(config), inputs(), [0])


def test_an_edge_that_was_found_in_the_hidden_state_can_be_left_out() -> None:
    net = network(variant(REFERENCE, graph=GATv2Config(edges=KNNEdgesConfig(k=2), layers=2)))
    edges = explain(net, inputs(), FEATURES, CODES).edges
    importance = edge_importance(net, inputs(), range(len(edges.source)))
    assert importance.shape == (len(edges.source), SIZES.horizons)
    assert (importance > 0).any()
    assert edges.weight_LEA.shape[0] == 2, "both hops"


def test_the_only_edge_of_a_block_can_be_left_out() -> None:
    given = inputs()
    one = given._replace(edge_index=given.edge_index[:, :1], edge_attr=given.edge_attr[:1])
    assert (edge_importance(network(), one, [0]) > 0).all()


def test_under_autocast_it_tells_the_same_in_float32() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        told = explain(network(), inputs(), FEATURES, CODES)
    assert told.edges.weight_LEA.dtype == np.float32
    exact = explain(network(), inputs(), FEATURES, CODES)
    np.testing.assert_allclose(told.neighbours_share, exact.neighbours_share, atol=0.05)


@pytest.mark.parametrize(("features", "codes"), [(FEATURES[:-1], CODES), (FEATURES, CODES[1:])])
def test_names_of_another_store_are_refused(features: list[str], codes: list[str]) -> None:
    with pytest.raises(ValueError, match=r"names must be those of the block's 6 stocks and 7 features"):
        explain(network(), inputs(), features, codes)


def test_a_block_in_which_nobody_was_observed_is_refused() -> None:
    given = inputs()
    with pytest.raises(ValueError, match="must have an observed stock"):
        explain(network(), given._replace(observed_TN=torch.zeros_like(given.observed_TN)), FEATURES, CODES)
