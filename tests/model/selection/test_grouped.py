"""Grouped selection against a loop over groups; a last group that is not full."""

from __future__ import annotations

import pytest
import torch

from model.selection.grouped import GroupedSelection, GroupedSelectionConfig
from tests.model.samples import SIZES, normal
from tests.model.selection.test_full import network, trained

T, N, F = 5, 4, SIZES.features


def _selection(size: int) -> GroupedSelection:
    torch.manual_seed(0)
    return trained(GroupedSelectionConfig(group_size=size, width=6).build(SIZES))


@pytest.mark.parametrize("size", [2, 3, F, F + 4])
def test_the_weights_compute_their_equation_group_by_group(size: int) -> None:
    selection, x = _selection(size), normal(T, N, F)
    row, groups = x[3, 2], -(-F // size)
    read = []
    for group in range(groups):
        members = row[group * size : (group + 1) * size]
        read.append(network(selection.networks, group, torch.cat([members, torch.zeros(size - len(members))])))
    shares = torch.softmax(torch.stack([each[0] for each in read]), dim=0)
    expected = []
    for group, each in enumerate(read):
        members = min(size, F - group * size)
        expected.append(shares[group] * torch.softmax(each[1 : 1 + members], dim=0))
    torch.testing.assert_close(selection(x)[3, 2], F * torch.cat(expected) * row)


@pytest.mark.parametrize("size", [2, 3, F])
def test_weights_average_to_one_though_the_last_group_is_not_full(size: int) -> None:
    weights = _selection(size).weights(5 * normal(T, N, F))
    torch.testing.assert_close(weights.mean(dim=-1), torch.ones(T, N))
    assert (weights > 0).all()


def test_there_is_a_network_per_group() -> None:
    assert _selection(3).networks.embed.shape == (3, 3, 6)
