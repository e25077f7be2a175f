"""The TFT encoder: folded attention against keys and values per day, and the mask."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from model.temporal.tft import TFTConfig, TFTEncoder
from tests.model.samples import SIZES, normal, uniform

B, N, L, H = 2, 5, SIZES.window, SIZES.hidden


def _encoder(heads: int = 2) -> TFTEncoder:
    torch.manual_seed(0)
    return TFTEncoder(SIZES, heads, dropout=0.3).eval()


SECTOR = torch.arange(N).expand(B, -1) % SIZES.sectors


def _mask() -> Tensor:
    mask = uniform(B, N, L, seed=1) < 0.6
    mask[0, 0] = True
    return mask


def _read(encoder: TFTEncoder, x: Tensor, mask: Tensor, sector: int) -> tuple[Tensor, Tensor]:
    """The states of one window [L, H] and its enriched last one [H], as the equations have them."""
    x, context = x * mask.unsqueeze(-1), encoder.sector.weight[sector]
    hidden, cell = (encoder.start.weight @ context + encoder.start.bias).split(H)
    states = encoder.lstm(x, (hidden.tanh().unsqueeze(0), cell.unsqueeze(0)))[0]
    last, rich = encoder.after_lstm(x[-1], states[-1]), encoder.enrichment
    inner = rich.own.weight @ last + rich.own.bias + rich.context.weight @ context
    elu = torch.where(inner > 0, inner, inner.exp() - 1)
    return states, rich.gate(last, rich.mixed.weight @ elu + rich.mixed.bias)


def _unfolded(encoder: TFTEncoder, states: Tensor, last: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Attention of one window with a key and a value per day: the attended vector and the weights [heads, L]."""
    query = encoder.attention.query(last).view(encoder.attention.heads, -1)
    values, attended, weights = encoder.value(states), [], []
    for head in range(encoder.attention.heads):
        keys = states @ encoder.attention.key[head].T
        logits = keys @ query[head] / math.sqrt(query.shape[-1])
        exponents = torch.where(mask, (logits - logits.max()).exp(), 0.0)
        weights.append(exponents / exponents.sum())
        attended.append(weights[-1] @ values)
    return torch.stack(attended).mean(dim=0), torch.stack(weights)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_the_folded_attention_is_the_attention_over_keys_and_values(heads: int) -> None:
    encoder, x, mask = _encoder(heads), 2 * normal(B, N, L, H), _mask()
    with torch.no_grad():
        given = encoder(x, mask, SECTOR)
        for day, stock in torch.cartesian_prod(torch.arange(B), torch.arange(N)).tolist():
            if mask[day, stock].any():
                states, last = _read(encoder, x[day, stock], mask[day, stock], int(SECTOR[day, stock]))
                attended = encoder.out(_unfolded(encoder, states, last, mask[day, stock])[0])
                torch.testing.assert_close(given[day, stock], encoder.after_attention(last, attended))


def test_the_weights_are_those_of_the_keys_and_masked_days_get_none() -> None:
    encoder, x, mask = _encoder(), 2 * normal(1, N, L, H), _mask()[0]
    mask[:, 3] = True
    with torch.no_grad():
        states, last = encoder.read(x[0], encoder.sector(SECTOR[0]))
        weights = encoder.attention(last, states, mask)
        expected = torch.stack([_unfolded(encoder, states[n], last[n], mask[n])[1] for n in range(N)])
    torch.testing.assert_close(weights, expected)
    assert (weights[~mask.unsqueeze(1).expand_as(weights)] == 0).all()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(N, 2))


def test_heads_look_at_different_days() -> None:
    encoder, x = _encoder(), 2 * normal(1, N, L, H)
    states = encoder.lstm(x[0])[0]
    weights = encoder.attention(states[:, -1], states, torch.ones(N, L, dtype=torch.bool))
    assert not torch.allclose(weights[:, 0], weights[:, 1], atol=1e-3)


def test_a_stock_that_was_never_observed_is_finite_with_a_finite_gradient() -> None:
    encoder, x, mask = _encoder(), normal(B, N, L, H).requires_grad_(), _mask()
    mask[1, 2] = False
    out = encoder(x, mask, SECTOR)
    out.square().sum().backward()
    assert out.isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in encoder.parameters() if parameter.grad is not None)


def test_a_stock_that_was_never_observed_leaves_the_others_alone() -> None:
    encoder, x, mask = _encoder(), normal(B, N, L, H), _mask()
    hidden = mask.clone()
    hidden[1, 2] = False
    changed = (encoder(x, mask, SECTOR) != encoder(x, hidden, SECTOR)).any(dim=-1)
    assert changed.nonzero().tolist() == [[1, 2]]


def test_the_order_of_days_matters() -> None:
    encoder, x, mask = _encoder(), normal(B, N, L, H), torch.ones(B, N, L, dtype=torch.bool)
    shuffled = x.clone()
    shuffled[:, :, :-1] = x[:, :, :-1].flip(2)
    assert not torch.allclose(encoder(x, mask, SECTOR), encoder(shuffled, mask, SECTOR), atol=1e-3)


def test_the_first_day_of_the_window_is_still_seen() -> None:
    encoder, x, mask = _encoder(), normal(B, N, L, H), torch.ones(B, N, L, dtype=torch.bool)
    other = x.clone()
    other[:, :, 0] += 3
    assert ((encoder(x, mask, SECTOR) - encoder(other, mask, SECTOR)).abs().amax(dim=-1) > 1e-4).all()


def test_dropout_works_in_training_alone() -> None:
    encoder, x, mask = _encoder(), normal(B, N, L, H), _mask()
    assert not torch.equal(encoder.train()(x, mask, SECTOR), encoder(x, mask, SECTOR))
    assert torch.equal(encoder.eval()(x, mask, SECTOR), encoder(x, mask, SECTOR))


def test_heads_must_divide_the_hidden_size() -> None:
    with pytest.raises(ValueError, match=f"hidden size {SIZES.hidden}, got 3"):
        TFTConfig(heads=3).build(SIZES)


def test_the_sector_matters_and_an_unknown_one_has_a_place() -> None:
    encoder, x, mask = _encoder(), normal(B, N, L, H), _mask()
    other = SECTOR.clone()
    other[1, 2] = 0  # unknown
    changed = (encoder(x, mask, SECTOR) != encoder(x, mask, other)).any(dim=-1)
    assert changed.nonzero().tolist() == [[1, 2]]
