"""Neighbours in the hidden state: against sorting all pairs, in chunks, in half precision, and their edges."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.graph import knn
from model.graph.edges import BothEdgesConfig, FoundEdgesConfig, GivenEdgesConfig, KNNEdgesConfig
from model.graph.kinds import GATv2Config
from model.graph.knn import nearest
from tests.model.samples import SIZES, edges, normal, uniform

B, N, H = 3, 40, SIZES.hidden


def _by_sorting(h: Tensor, eligible: Tensor, k: int) -> set[tuple[int, int]]:
    """(source, target) of each stock's k most similar others."""
    found = set()
    for day in range(len(h)):
        unit = h[day] / h[day].norm(dim=-1, keepdim=True)
        similar = unit @ unit.T
        for i in range(N):
            others = [j for j in range(N) if j != i and eligible[day, j]]
            for j in sorted(others, key=lambda j: -similar[i, j])[:k] if eligible[day, i] else []:
                found.add((day * N + j, day * N + i))
    return found


def _pairs(index: Tensor) -> set[tuple[int, int]]:
    assert len(set(zip(*index.tolist(), strict=True))) == index.shape[1], "no edge twice"
    return set(zip(*index.tolist(), strict=True))


@pytest.mark.parametrize("chunk", [1, 7, 40, 512])
@pytest.mark.parametrize("k", [1, 5])
def test_neighbours_are_the_most_similar_of_the_universe(chunk: int, k: int) -> None:
    h, eligible = normal(B, N, H), uniform(B, N, seed=1) < 0.7
    assert _pairs(nearest(h, eligible, k, 1, chunk)) == _by_sorting(h, eligible, k)


def test_a_small_universe_gives_what_it_has() -> None:
    h, eligible = normal(1, N, H), torch.zeros(1, N, dtype=torch.bool)
    eligible[0, [3, 8, 9]] = True
    assert _pairs(nearest(h, eligible, 15, 1)) == {(j, i) for i in (3, 8, 9) for j in (3, 8, 9) if i != j}
    assert nearest(h, torch.zeros_like(eligible), 15, 1).shape == (2, 0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 300.0])
def test_half_precision_finds_nearly_the_same_and_no_nan(dtype: torch.dtype, scale: float) -> None:
    """A sum of squares of 300s is beyond float16; masks are its own lowest number."""
    h, eligible = scale * normal(B, N, H), uniform(B, N, seed=1) < 0.7
    exact = _pairs(nearest(h, eligible, 5, 1, 16))
    half = _pairs(nearest(h.to(dtype), eligible, 5, 1, 16))
    assert len(half) == len(exact)
    assert len(half & exact) > 0.9 * len(exact)


def test_no_stock_outside_the_universe_is_an_end_of_an_edge() -> None:
    eligible = uniform(B, N, seed=1) < 0.5
    index = nearest(normal(B, N, H), eligible, 5, 3, 16)
    assert eligible.flatten()[index].all()


def test_one_buffer_serves_every_chunk_and_day(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    of_day = knn._of_day
    monkeypatch.setattr(
        knn, "_of_day", lambda u, e, k, buffer: seen.append(buffer.data_ptr()) or of_day(u, e, k, buffer)
    )
    nearest(normal(B, N, H), torch.ones(B, N, dtype=torch.bool), 3, 1, 8)
    assert len(seen) == B
    assert len(set(seen)) == 1


def test_between_refreshes_the_neighbours_of_the_day_before_are_kept() -> None:
    h, eligible = normal(5, N, H), torch.ones(5, N, dtype=torch.bool)
    eligible[1, 4] = False  # leaves on a day between
    index = nearest(h, eligible, 4, 2, 16)
    by_day = [{(s % N, t % N) for s, t in _pairs(index) if t // N == day} for day in range(5)]
    assert by_day[1] == {(s, t) for s, t in by_day[0] if 4 not in (s, t)}
    assert by_day[2] == by_day[3] != by_day[0]
    assert by_day[4] == {(s % N, t % N) for s, t in _by_sorting(h[4:], eligible[4:], 4)}


# --- as edges of a block


def _edges_of(config: FoundEdgesConfig, training: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """(hidden states, edge_index, edge_attr)."""
    h = normal(B, N, H).requires_grad_()
    return h, *config.build().train(training)(h, torch.ones(B, N, dtype=torch.bool), *edges(B, N))


def test_found_edges_carry_their_similarity_behind_blank_attributes() -> None:
    h, index, attr = _edges_of(KNNEdgesConfig(k=4))
    assert attr.shape == (B * N * 4, SIZES.edge_attributes + 1)
    assert not attr[:, :-1].any()
    flat = h.flatten(0, 1)
    expected = torch.cosine_similarity(flat[index[0]], flat[index[1]])
    torch.testing.assert_close(attr[:, -1], expected)
    attr[:, -1].square().sum().backward()
    assert h.grad.abs().sum() > 0, "through the similarity the hidden state learns its neighbours"


def test_both_keeps_the_given_edges_and_adds_the_found_ones_that_are_new() -> None:
    given_index, given_attr = edges(B, N)
    h, index, attr = _edges_of(BothEdgesConfig(k=4))
    count = given_index.shape[1]
    assert torch.equal(index[:, :count], given_index)
    assert torch.equal(attr[:count, :-1], given_attr)
    found = nearest(h.detach(), torch.ones(B, N, dtype=torch.bool), 4, 1)
    assert _pairs(index) == _pairs(given_index) | _pairs(found)
    assert not attr[count:, :-1].any()
    assert (attr[:count, -1] != 0).all(), "given edges have their similarity too"


@pytest.mark.parametrize("config", [GivenEdgesConfig(), BothEdgesConfig()], ids=lambda c: c.kind)
def test_edges_that_should_have_been_given_are_missed(config: GivenEdgesConfig | BothEdgesConfig) -> None:
    none = torch.empty(2, 0, dtype=torch.long), torch.empty(0, SIZES.edge_attributes)
    with pytest.raises(ValueError, match="must get edges"):
        config.build()(normal(B, N, H), torch.ones(B, N, dtype=torch.bool), *none)


def test_found_edges_need_no_given_ones() -> None:
    none = torch.empty(2, 0, dtype=torch.long), torch.empty(0, SIZES.edge_attributes)
    block = GATv2Config(edges=KNNEdgesConfig(k=3)).build(SIZES).eval()
    message, _ = block(normal(B, N, H), torch.ones(B, N, dtype=torch.bool), *none)
    assert (message.std(dim=1) > 0).all()


def test_in_evaluation_every_day_looks_for_its_own_neighbours() -> None:
    """So that a score does not depend on the block that its day was scored in."""
    config = KNNEdgesConfig(k=4, refresh_days=3)
    h, index, _ = _edges_of(config)
    assert _pairs(index) == _by_sorting(h.detach(), torch.ones(B, N, dtype=torch.bool), 4)
    _, kept, _ = _edges_of(config, training=True)
    assert _pairs(kept) != _pairs(index)
