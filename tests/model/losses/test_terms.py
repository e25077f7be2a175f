"""Squared error, quantile, rank and spread: each against loops or scipy, per day and horizon, with masks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import rankdata, spearmanr
from torch import Tensor

from model.losses.pointwise import mse_by_horizon, quantile_by_horizon
from model.losses.rank import _ranks, rank_loss_by_horizon
from model.losses.variance import variance_floor_by_horizon
from tests.model.samples import normal, uniform

B, N, K = 4, 30, 3
LEVELS = (0.1, 0.5, 0.9)
Term = Callable[[Tensor, Tensor, Tensor], Tensor]


def _rank(score: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    return rank_loss_by_horizon(score, target, mask, temperature=0.1)


def _spread(score: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    return variance_floor_by_horizon(0.2 * score, target, mask, floor=0.5)


def _quantile(score: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    levels = torch.stack([score - 1, score, score + 1], dim=-1)
    return quantile_by_horizon(levels, target, mask, LEVELS)


TERMS: dict[str, Term] = {"mse": mse_by_horizon, "quantile": _quantile, "rank": _rank, "spread": _spread}
each_term = pytest.mark.parametrize("term", TERMS.values(), ids=TERMS)


def _given() -> tuple[Tensor, Tensor, Tensor]:
    mask = uniform(B, N, K, seed=3) < 0.6
    mask[1, :, 0] = False
    return normal(B, N, K), 2 * normal(B, N, K, seed=1), mask


# --- what every term must do


@each_term
def test_it_is_the_mean_over_days_and_one_without_labels_adds_nothing(term: Term) -> None:
    score, target, mask = _given()
    given = term(score, target, mask)
    for k in range(K):
        days = [d for d in range(B) if mask[d, :, k].any()]
        each = [term(*(x[d : d + 1, :, k : k + 1] for x in (score, target, mask))) for d in days]
        torch.testing.assert_close(given[k], torch.cat(each).sum() / B)


@each_term
def test_what_is_masked_does_not_count_and_gets_no_gradient(term: Term) -> None:
    score, target, mask = _given()
    other = torch.where(mask, score, score + 100).requires_grad_()
    loss = term(other, torch.where(mask, target, -50.0), mask)
    torch.testing.assert_close(loss, term(score, target, mask))
    loss.sum().backward()
    assert (other.grad[~mask] == 0).all()
    assert other.grad[mask].any()


@each_term
def test_without_any_label_it_is_zero_with_a_zero_gradient(term: Term) -> None:
    score, target, _ = _given()
    score.requires_grad_()
    loss = term(score, target, torch.zeros(B, N, K, dtype=torch.bool))
    loss.sum().backward()
    assert loss.tolist() == [0.0] * K
    assert (score.grad == 0).all()


@each_term
def test_permuting_stocks_changes_nothing(term: Term) -> None:
    score, target, mask = _given()
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(term(score[:, order], target[:, order], mask[:, order]), term(score, target, mask))


@each_term
def test_constant_scores_are_finite_with_a_finite_gradient(term: Term) -> None:
    _, target, mask = _given()
    score = torch.zeros(B, N, K).requires_grad_()
    loss = term(score, target, mask)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert score.grad.isfinite().all()


# --- each by itself


def test_the_squared_error_is_that_of_the_labelled_stocks() -> None:
    score, target, mask = _given()
    expected = np.mean([np.mean((score - target).numpy()[d, :, 2][mask.numpy()[d, :, 2]] ** 2) for d in range(B)])
    assert mse_by_horizon(score, target, mask)[2].item() == pytest.approx(expected, rel=1e-5)


def test_the_quantile_loss_is_the_pinball_loss_of_every_level() -> None:
    level, target = normal(1, N, 1, 3), normal(1, N, 1, seed=1)
    total = 0.0
    for n in range(N):
        for q, tau in enumerate(LEVELS):
            error = (target[0, n, 0] - level[0, n, 0, q]).item()
            total += tau * error if error >= 0 else (tau - 1) * error
    given = quantile_by_horizon(level, target, torch.ones(1, N, 1, dtype=torch.bool), LEVELS)
    assert given.item() == pytest.approx(total / N / 3, rel=1e-5)


def test_the_quantile_loss_is_least_at_the_quantiles() -> None:
    target = normal(1, 4001, 1)
    level = torch.zeros(1, 1, 1, 3, requires_grad=True)
    optimiser = torch.optim.Adam([level], lr=0.02)
    for _ in range(400):
        optimiser.zero_grad()
        mask = torch.ones_like(target, dtype=torch.bool)
        quantile_by_horizon(level.expand(1, 4001, 1, 3), target, mask, LEVELS).sum().backward()
        optimiser.step()
    expected = np.quantile(target.numpy(), LEVELS)
    np.testing.assert_allclose(level.detach().flatten(), expected, atol=0.05)


def test_ranks_are_those_of_scipy_with_ties_shared() -> None:
    target = (3 * normal(B, N, K)).round()
    mask = uniform(B, N, K, seed=3) < 0.6
    given = _ranks(target, mask)
    for day in range(B):
        for k in range(K):
            here = mask[day, :, k]
            expected = rankdata(target[day, here, k].numpy())
            np.testing.assert_allclose(given[day, here, k] - given[day, here, k].mean(), expected - expected.mean())


@pytest.mark.parametrize("noise", [0.0, 0.5, 2.0, 10.0])
def test_a_sharp_rank_loss_is_one_minus_spearman(noise: float) -> None:
    target = normal(1, 200, 1)
    score = target + noise * normal(1, 200, 1, seed=1)
    given = rank_loss_by_horizon(score, target, torch.ones_like(target, dtype=torch.bool), temperature=1e-3)
    assert given.item() == pytest.approx(1 - spearmanr(score.flatten(), target.flatten()).statistic, abs=0.01)


@pytest.mark.parametrize("temperature", [0.03, 0.1, 0.5])
def test_the_rank_loss_ignores_mean_and_scale_of_the_scores_and_any_growing_map_of_the_targets(
    temperature: float,
) -> None:
    score, target, mask = _given()
    usual = rank_loss_by_horizon(score, target, mask, temperature)
    torch.testing.assert_close(
        rank_loss_by_horizon(7 + 30 * score, target, mask, temperature), usual, atol=1e-4, rtol=1e-4
    )
    torch.testing.assert_close(rank_loss_by_horizon(score, target.exp(), mask, temperature), usual)


def test_descending_the_rank_loss_orders_the_scores() -> None:
    target, mask = normal(2, 40, 1), torch.ones(2, 40, 1, dtype=torch.bool)
    score = normal(2, 40, 1, seed=1).requires_grad_()
    optimiser = torch.optim.Adam([score], lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        rank_loss_by_horizon(score, target, mask, 0.1).sum().backward()
        optimiser.step()
    for day in range(2):
        assert spearmanr(score[day].detach(), target[day]).statistic > 0.97


def test_a_day_of_constant_targets_counts_nothing_in_the_rank_loss() -> None:
    score, target, mask = _given()
    flat = target.clone()
    flat[2] = 1.0
    without = mask.clone()
    without[2] = False
    torch.testing.assert_close(_rank(score, flat, mask), _rank(score, target, without))


@pytest.mark.parametrize(("share", "expected"), [(2.0, 0.0), (1.0, 0.0), (0.5, 0.25), (0.1, 0.81)])
def test_the_spread_term_is_the_squared_shortfall(share: float, expected: float) -> None:
    target = normal(1, N, 1)
    score = 5 + 0.04 * share * target
    given = variance_floor_by_horizon(score, target, torch.ones_like(target, dtype=torch.bool), floor=0.04)
    assert given.item() == pytest.approx(expected, abs=1e-4)


def test_the_spread_term_widens_scores_that_are_too_close() -> None:
    target, mask = normal(2, 40, 1), torch.ones(2, 40, 1, dtype=torch.bool)
    score = (1e-3 * normal(2, 40, 1, seed=1)).requires_grad_()
    before = score.detach().std(dim=1)
    variance_floor_by_horizon(score, target, mask, 0.5).sum().backward()
    assert ((score - 1e-3 * score.grad / score.grad.norm()).std(dim=1) > before).all()
