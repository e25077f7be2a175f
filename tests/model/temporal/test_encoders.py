"""LSTM, last-query attention and convolution + recurrence: each against its equation, and what the mask means."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional

from model.protocols import BlockConfig
from model.temporal.attention import AttentionConfig
from model.temporal.conv_rnn import ConvRNN, ConvRNNConfig
from model.temporal.lstm import LSTMConfig
from tests.model.samples import SIZES, members, normal, uniform

B, N, L, H = 2, 5, SIZES.window, SIZES.hidden
SECTOR = torch.zeros(B, N, dtype=torch.long)
READERS = [m for m in members("temporal") if m().kind != "identity"]
each_reader = pytest.mark.parametrize("member", READERS, ids=lambda m: m().kind)


def _encoder(config: BlockConfig, window: int = L) -> nn.Module:
    torch.manual_seed(0)
    return config.build(SIZES._replace(window=window)).eval()


def _mask() -> Tensor:
    mask = uniform(B, N, L, seed=1) < 0.6
    mask[0, 0], mask[:, :, -1] = True, True
    return mask


# --- every reader


@each_reader
def test_a_stock_that_was_never_observed_is_finite_with_a_finite_gradient(member: type[BlockConfig]) -> None:
    encoder, x, mask = _encoder(member()), normal(B, N, L, H).requires_grad_(), _mask()
    mask[1, 2] = False
    out = encoder(x, mask, SECTOR)
    out.square().sum().backward()
    assert out.isfinite().all()
    assert x.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in encoder.parameters() if parameter.grad is not None)


@each_reader
def test_a_stock_is_read_by_itself(member: type[BlockConfig]) -> None:
    encoder, x, mask = _encoder(member()), normal(B, N, L, H), _mask()
    other, hidden = x.clone(), mask.clone()
    other[1, 2] += 1
    hidden[1, 2, :-3] = ~hidden[1, 2, :-3]
    changed = (encoder(x, mask, SECTOR) != encoder(other, hidden, SECTOR)).any(dim=-1)
    assert changed.nonzero().tolist() == [[1, 2]]


@each_reader
def test_the_order_of_days_matters(member: type[BlockConfig]) -> None:
    encoder, x, mask = _encoder(member()), normal(B, N, L, H), torch.ones(B, N, L, dtype=torch.bool)
    shuffled = x.clone()
    shuffled[:, :, :-1] = x[:, :, :-1].flip(2)
    assert ((encoder(x, mask, SECTOR) - encoder(shuffled, mask, SECTOR)).abs().amax(dim=-1) > 1e-4).all()


@each_reader
def test_the_first_day_of_the_window_is_still_seen(member: type[BlockConfig]) -> None:
    encoder, x, mask = _encoder(member()), normal(B, N, L, H), torch.ones(B, N, L, dtype=torch.bool)
    other = x.clone()
    other[:, :, 0] += 3
    assert (encoder(x, mask, SECTOR) != encoder(other, mask, SECTOR)).any(dim=-1).all()


@each_reader
def test_dropout_works_in_training_alone(member: type[BlockConfig]) -> None:
    encoder, x, mask = _encoder(member()), normal(B, N, L, H), _mask()
    assert not torch.equal(encoder.train()(x, mask, SECTOR), encoder(x, mask, SECTOR))
    assert torch.equal(encoder.eval()(x, mask, SECTOR), encoder(x, mask, SECTOR))


@each_reader
def test_the_values_of_an_unobserved_day_are_no_input(member: type[BlockConfig]) -> None:
    encoder, x, mask = _encoder(member()), normal(B, N, L, H), _mask()
    other = torch.where(mask.unsqueeze(-1), x, 99.0)
    torch.testing.assert_close(encoder(x, mask, SECTOR), encoder(other, mask, SECTOR))


# --- lstm


@pytest.mark.parametrize("layers", [1, 2])
def test_the_lstm_is_its_last_state_gated_onto_the_last_day(layers: int) -> None:
    encoder, x, mask = _encoder(LSTMConfig(layers=layers)), normal(B, N, L, H), torch.ones(B, N, L, dtype=torch.bool)
    given = encoder(x, mask, SECTOR)
    lstm, seen = encoder.lstm, x[1, 3]
    for layer in range(layers):
        weights = [getattr(lstm, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        hidden, cell, states = torch.zeros(H), torch.zeros(H), []
        for day in range(L):
            gates = weights[0] @ seen[day] + weights[2] + weights[1] @ hidden + weights[3]
            enter, forget, new, leave = gates.split(H)
            cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
            hidden = leave.sigmoid() * cell.tanh()
            states.append(hidden)
        seen = torch.stack(states)
    torch.testing.assert_close(given[1, 3], encoder.after(x[1, 3, -1], seen[-1]))


# --- attention


@pytest.mark.parametrize("heads", [1, 4])
def test_the_attention_computes_its_equation_head_by_head(heads: int) -> None:
    encoder, x, mask = _encoder(AttentionConfig(heads=heads)), 2 * normal(B, N, L, H), _mask()
    given = encoder(x, mask, SECTOR)
    attention, width = encoder.attention, H // heads
    for day, stock in [(0, 0), (1, 3)]:
        window, joined = x[day, stock], []
        query = attention.query(window[-1]).view(heads, width)
        for head in range(heads):
            keys = (window + encoder.place_LH) @ attention.key[head].T
            logits = keys @ query[head] / math.sqrt(width)
            exponents = torch.where(mask[day, stock], logits.exp(), 0.0)
            joined.append((exponents / exponents.sum()) @ (window @ encoder.value[head]))
        torch.testing.assert_close(given[day, stock], encoder.after(window[-1], encoder.out(torch.cat(joined))))


# --- convolution and recurrence


def _halved(x: Tensor) -> Tensor:
    """The larger of each two days; where their number is odd, the oldest stands by itself."""
    odd = len(x) % 2
    pairs = x[odd:].unflatten(0, (-1, 2)).amax(dim=1)
    return torch.cat([x[:1], pairs]) if odd else pairs


@pytest.mark.parametrize("window", [20, 90])
def test_signal_and_mask_are_pooled_equally_often(window: int) -> None:
    encoder, x = _encoder(ConvRNNConfig(), window), normal(3, window, H)
    mask = uniform(3, window, seed=1) < 0.2
    pooled, observed = encoder.pooled(x, mask)
    places = math.ceil(window / 8)
    assert (pooled.shape, observed.shape) == ((3, places, H), (3, places))
    expected = mask[1].float()
    for _ in range(3):
        expected = _halved(expected)
    assert torch.equal(observed[1], expected > 0)


def test_a_stage_is_convolution_norm_gelu_and_pooling() -> None:
    encoder, x = _encoder(ConvRNNConfig()), normal(2, L, H)
    pooled, _ = encoder.pooled(x, torch.ones(2, L, dtype=torch.bool))
    value = x[1]
    for convolution, norm in zip(encoder.convolutions, encoder.norms, strict=True):
        reach = convolution.kernel_size[0] // 2
        padded = functional.pad(value, (0, 0, reach, reach))
        rows = [
            convolution.bias + sum(convolution.weight[:, :, k] @ padded[day + k] for k in range(2 * reach + 1))
            for day in range(len(value))
        ]
        signal = torch.stack(rows)
        signal = (signal - signal.mean()) / (signal.var(unbiased=False) + 1e-5).sqrt() * norm.weight + norm.bias
        value = _halved(signal * 0.5 * (1 + torch.erf(signal / 2**0.5)))
    torch.testing.assert_close(pooled[1], value, atol=1e-5, rtol=1e-4)


def test_the_pooling_attends_to_observed_places_alone() -> None:
    encoder, x, mask = _encoder(ConvRNNConfig(), 32), normal(1, 1, 32, H), torch.ones(1, 1, 32, dtype=torch.bool)
    mask[0, 0, 8:16] = False
    places, observed = encoder.pooled(x[0] * mask[0].unsqueeze(-1), mask[0])
    assert observed.tolist() == [[True, False, True, True]]
    states, _ = encoder.rnn(places)
    scores = torch.stack([encoder.score(state)[0] for state in states[0]])
    exponents = torch.where(observed[0], scores.exp(), 0.0)
    expected = (exponents / exponents.sum()) @ states[0]
    torch.testing.assert_close(encoder(x, mask, SECTOR[:1, :1])[0, 0], expected)


@pytest.mark.parametrize("window", [9, 20, 60, 90, 91])
@pytest.mark.parametrize("days", [1, 2, 4])
def test_a_stock_that_was_observed_on_its_last_days_alone_is_seen(window: int, days: int) -> None:
    encoder, x = _encoder(ConvRNNConfig(), window), normal(1, 3, window, H)
    mask = torch.zeros(1, 3, window, dtype=torch.bool)
    mask[:, :, -days:] = True
    sector = torch.zeros(1, 3, dtype=torch.long)
    out = encoder(x, mask, sector)
    assert (out != 0).any(dim=-1).all()
    moved = x.clone()
    moved[:, :, -1] += 1
    assert (encoder(moved, mask, sector) != out).any(dim=-1).all()


@pytest.mark.parametrize("window", [2, 8])
def test_a_window_too_short_to_be_halved_is_refused(window: int) -> None:
    with pytest.raises(ValueError, match=f"needs 9 days; got {window}"):
        ConvRNN(H, window, 0.1)


def test_settings_out_of_range_are_refused() -> None:
    for config, settings in (
        (LSTMConfig, {"layers": 4}),
        (AttentionConfig, {"heads": 0}),
        (ConvRNNConfig, {"dropout": 1}),
    ):
        with pytest.raises(ValidationError):
            config.model_validate(settings)
    with pytest.raises(ValueError, match=f"hidden size {H}, got 3"):
        AttentionConfig(heads=3).build(SIZES)
