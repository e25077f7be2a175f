"""Concentration and entropy of attention: 0 to 1 for any degree, stocks with one neighbour left out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.graph.penalties import concentration, entropy


def _attention(*targets: list[float]) -> tuple[Tensor, Tensor, int, int]:
    """Weights of one head, target by target, of one day; a target without neighbours is an empty list."""
    weights = [weight for target in targets for weight in target]
    index = [n for n, target in enumerate(targets) for _ in target]
    return torch.tensor(weights).unsqueeze(1), torch.tensor(index, dtype=torch.long), 1, len(targets)


@pytest.mark.parametrize("degree", [2, 5, 40])
def test_even_attention_has_no_concentration_and_full_entropy(degree: int) -> None:
    given = _attention([1 / degree] * degree)
    assert concentration(*given) == pytest.approx(0.0, abs=1e-6)
    assert entropy(*given) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("degree", [2, 5, 40])
def test_attention_to_one_neighbour_is_all_concentration_and_no_entropy(degree: int) -> None:
    given = _attention([1.0] + [0.0] * (degree - 1))
    assert concentration(*given) == pytest.approx(1.0, abs=1e-6)
    assert entropy(*given) == pytest.approx(0.0, abs=1e-3)


def test_they_are_means_over_targets_with_two_neighbours_or_more() -> None:
    given = _attention([0.5, 0.5], [1.0], [], [1.0, 0.0])
    assert concentration(*given) == pytest.approx(0.5)
    assert entropy(*given) == pytest.approx(0.5, abs=1e-4)


def test_they_are_means_over_heads() -> None:
    weights, *given = _attention([0.5, 0.5])
    both = torch.cat([weights, torch.tensor([[1.0], [0.0]])], dim=1)
    assert concentration(both, *given) == pytest.approx(0.5)


def test_a_day_counts_once_however_many_stocks_choose_on_it() -> None:
    weights, index, _, stocks = _attention([1.0, 0.0], [], [0.5, 0.5], [0.5, 0.5])
    assert concentration(weights, index, 2, stocks // 2) == pytest.approx(0.5)
    assert entropy(weights, index, 2, stocks // 2) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("targets", [[], [[]], [[1.0], [1.0]]])
def test_where_nobody_chooses_they_are_zero_with_a_finite_gradient(targets: list[list[float]]) -> None:
    weights, *given = _attention(*targets)
    weights = weights.reshape(-1, 1).float().requires_grad_()
    for measure in (concentration, entropy):
        value = measure(weights, *given)
        value.backward()
        assert value == 0
        assert weights.grad is None or weights.grad.isfinite().all()


def test_the_gradient_at_a_weight_of_zero_is_finite() -> None:
    weights, *given = _attention([1.0, 0.0])
    weights.requires_grad_()
    entropy(weights, *given).backward()
    assert weights.grad.isfinite().all()
