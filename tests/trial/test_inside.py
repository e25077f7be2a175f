"""What a network looked at: means of what its blocks say, plain numbers, and the network as it was."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from data.loader import FoldBlocks
from model.explain import explain
from model.fusion.identity import IdentityFusionConfig
from model.graph.identity import NoGraphBlockConfig
from model.norm.identity import IdentityNormConfig
from model.norm.revin import RevINConfig
from search_spaces.config import TrialConfig
from trial.inside import MOST_EDGES, look_inside
from trial.state import TrainState, new_state

NO_GRAPH = {"model.graph": NoGraphBlockConfig(), "model.fusion": IdentityFusionConfig()}


def state_of(config: TrialConfig, blocks: FoldBlocks) -> TrainState:
    return new_state(config, blocks)


def looked(config: TrialConfig, blocks: FoldBlocks) -> dict[str, Any]:
    return look_inside(state_of(config, blocks).model, blocks)


def test_days_are_spread_over_the_scored_ones(config: TrialConfig, blocks: FoldBlocks) -> None:
    dates = looked(config, blocks)["dates"]
    places = [int(np.searchsorted(blocks.store.dates, np.datetime64(date))) for date in dates]
    assert len(places) == 3
    assert all(day in blocks.fold.score for day in places)
    assert places[2] - places[0] >= len(blocks.fold.score) // 2


def test_it_is_plain_and_leaves_the_network_alone(config: TrialConfig, blocks: FoldBlocks) -> None:
    model = state_of(config, blocks).model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = look_inside(model, blocks)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert model.training
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())


def test_numbers_are_means_over_the_days(config: TrialConfig, blocks: FoldBlocks) -> None:
    model = state_of(config, blocks).model
    found = look_inside(model, blocks)
    codes, names = blocks.store.codes.tolist(), blocks.store.meta.features
    days = [int(np.searchsorted(blocks.store.dates, np.datetime64(date))) for date in found["dates"]]
    told = [explain(model, blocks.block(range(day, day + 1)).inputs, names, codes) for day in days]
    first = next(iter(found["features"]))
    assert found["features"][first] == pytest.approx(np.mean([one.feature_weight[first] for one in told]))
    assert found["neighbours_share"] == pytest.approx(np.mean([one.neighbours_share.mean() for one in told]))
    source, target, weight, number = found["pairs"][0]
    own = []
    for one in told:
        here = (one.edges.source == source) & (one.edges.target == target)
        own += one.edges.weight_LEA[:, here].mean(axis=(0, 2)).tolist()
    assert (weight, number) == (pytest.approx(np.mean(own)), len(own))


def test_a_sectors_attention_is_shared_out_over_sectors(config: TrialConfig, blocks: FoldBlocks) -> None:
    sectors = looked(config, blocks)["sectors"]
    mass = np.array(sectors["mass"])
    assert mass.shape == (len(sectors["names"]),) * 2
    np.testing.assert_allclose(mass.sum(axis=1), 1, atol=1e-3)


def test_edges_are_left_out_from_the_most_to_the_least_heard(config: TrialConfig, blocks: FoldBlocks) -> None:
    edges = looked(config, blocks)["edges"]
    weights = [weight for _, _, weight, _ in edges]
    assert 2 <= len(edges) <= MOST_EDGES
    assert weights == sorted(weights, reverse=True)
    assert all(source != target for source, target, _, _ in edges)
    assert max(moved for *_, moved in edges) > 0


def test_without_neighbours_nothing_is_told_of_them(config: TrialConfig, blocks: FoldBlocks) -> None:
    found = looked(config.replace(**NO_GRAPH), blocks)
    assert (found["neighbours_share"], found["pairs"], found["edges"]) == (None, [], [])
    assert found["features"]


@pytest.mark.parametrize(
    ("norm", "names"),
    [(RevINConfig(), {"mean": 1, "deviation": 1}), (IdentityNormConfig(), {})],
    ids=["revin", "identity"],
)
def test_what_is_removed_depends_on_the_normaliser(
    config: TrialConfig, blocks: FoldBlocks, norm: Any, names: dict[str, int]
) -> None:
    found = looked(config.replace(**{"model.norm": norm}), blocks)["removed"]
    assert {name: len(values) for name, values in found.items()} == names


def test_fan_and_san_tell_frequencies_and_slices(config: TrialConfig, blocks: FoldBlocks) -> None:
    found = looked(config, blocks)["removed"]
    assert len(found["frequency"]) == config.data.window // 2 + 1
    assert 0 < found["energy"][0] < 1
    assert len(found["mean"]) == len(found["deviation"]) > 1
