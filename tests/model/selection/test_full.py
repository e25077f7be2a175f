"""Full selection against a loop over features, and its chunks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from model.selection import grn
from model.selection.full import FullSelection, FullSelectionConfig
from tests.model.samples import SIZES, normal

T, N, F = 5, 4, SIZES.features


def _selection(width: int = 6) -> FullSelection:
    torch.manual_seed(0)
    return trained(FullSelectionConfig(width=width).build(SIZES))


def trained(selection: nn.Module) -> nn.Module:
    """With biases and scales as they are after training: none is where it started."""
    for name, parameter in selection.named_parameters():
        if "bias" in name or name.endswith("scale"):
            parameter.data += 0.3 * normal(*parameter.shape, seed=len(name))
    return selection


def network(bank: grn.GRNBank, member: int, x_S: Tensor) -> Tensor:
    """One gated residual network of a bank on one row, as the equations have it: [outputs]."""

    def dense(name: str, value: Tensor) -> Tensor:
        return value @ getattr(bank, name)[member] + getattr(bank, f"{name}_bias")[member, 0]

    a = dense("embed", x_S)
    inner = dense("inner", a)
    left, right = dense("gate", torch.where(inner > 0, inner, inner.exp() - 1)).split(bank.width)
    y = a + left / (1 + (-right).exp())
    normed = (y - y.mean()) / (y.var(unbiased=False) + 1e-5).sqrt()
    return dense("read", normed * bank.scale[member, 0] + bank.scale_bias[member, 0])


def test_the_weights_compute_their_equation_feature_by_feature() -> None:
    selection, x = _selection(), normal(T, N, F)
    given = selection(x)
    for day, stock in [(0, 0), (3, 2), (4, 3)]:
        row = x[day, stock]
        own = torch.stack([network(selection.networks, f, row[f : f + 1])[0] for f in range(F)])
        joint = network(selection.joint, 0, row)
        exponents = (own + joint).exp()
        torch.testing.assert_close(given[day, stock], F * exponents / exponents.sum() * row)


@pytest.mark.parametrize(("rows", "floats"), [(1, 1), (3, 40), (7, 1 << 18)])
def test_chunks_change_no_number_and_no_gradient(rows: int, floats: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> tuple[Tensor, list[Tensor]]:
        selection, x = _selection(), normal(T, N, F).requires_grad_()
        out = selection(x)
        out.square().sum().backward()
        return out, [tensor.grad for tensor in (x, *selection.parameters()) if tensor.grad is not None]

    whole, gradients = run()
    monkeypatch.setattr(grn, "CHUNK_ROWS", rows)
    monkeypatch.setattr(grn, "CHUNK_FLOATS", floats)
    chunked, others = run()
    torch.testing.assert_close(chunked, whole)
    assert len(gradients) == len(others)
    for one, other in zip(gradients, others, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_activations_of_the_networks_are_not_kept() -> None:
    """What autograd keeps between the passes is inputs and weights, not [features, rows, width]."""
    kept: list[int] = []
    selection, x = _selection(width=64), normal(40, 50, F).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        selection(x)
    assert max(kept) < F * 40 * 50 * 64 / 4


def test_a_feature_matters_to_the_weights_of_all_and_to_its_own_network_alone() -> None:
    selection, x = _selection(), normal(T, N, F)
    other = x.clone()
    other[..., 2] += 1
    before, after = (selection.networks(each.flatten(0, 1).unsqueeze(-1)).squeeze(-1) for each in (x, other))
    assert ((before != after).any(dim=0)).tolist() == [f == 2 for f in range(F)]
    assert (selection.weights(x) != selection.weights(other)).all()


def test_weights_average_to_one() -> None:
    weights = _selection().weights(5 * normal(T, N, F))
    torch.testing.assert_close(weights.mean(dim=-1), torch.ones(T, N))
    assert (weights > 0).all()
