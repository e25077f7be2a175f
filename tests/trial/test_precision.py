"""Precision: float16's scaler starts at 65,536 and falls on overflow; every precision trains."""

from __future__ import annotations

import json

import pytest
import torch

from data.loader import FoldBlocks
from search_spaces.config import TrialConfig
from trial.fit import fit
from trial.precision import INITIAL_SCALE, Float16, FullPrecision, make_precision
from trial.state import new_state

CPU = torch.device("cpu")


def test_the_scaler_starts_at_two_to_the_sixteenth() -> None:
    assert INITIAL_SCALE == 65_536
    assert Float16(CPU).scaler.get_scale() == 65_536


@pytest.mark.parametrize(("name", "kind"), [("bf16", torch.bfloat16), ("fp16", torch.float16), ("fp32", torch.float32)])
def test_the_forward_pass_computes_in_it(name: str, kind: torch.dtype) -> None:
    with make_precision(name, CPU).forward():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == kind


def test_gradients_leave_in_their_own_scale() -> None:
    grads = []
    for precision in (FullPrecision(), Float16(CPU)):
        weight = torch.nn.Parameter(torch.tensor([2.0]))
        optimiser = torch.optim.SGD([weight], lr=0.1)
        precision.backward((weight * 3).sum())
        precision.unscale(optimiser)
        grads.append(weight.grad.item())
        precision.step(optimiser)
        assert weight.item() == pytest.approx(1.7)
    assert grads == [3.0, 3.0]


def test_an_overflow_halves_the_scale_and_takes_no_step() -> None:
    precision, weight = Float16(CPU), torch.nn.Parameter(torch.tensor([2.0]))
    optimiser = torch.optim.SGD([weight], lr=0.1)
    precision.backward((weight * float("inf")).sum())
    precision.unscale(optimiser)
    assert precision.overflowed()
    assert precision.scaler.get_scale() == 32_768
    assert weight.item() == 2.0


def test_at_the_least_scale_an_overflow_is_no_matter_of_the_scale() -> None:
    precision, weight = Float16(CPU), torch.nn.Parameter(torch.tensor([2.0]))
    optimiser = torch.optim.SGD([weight], lr=0.1)
    answers = []
    for _ in range(20):
        optimiser.zero_grad()
        precision.backward((weight * float("inf")).sum())
        precision.unscale(optimiser)
        answers.append(precision.overflowed())
    assert answers == [True] * 16 + [False] * 4


def test_the_scale_survives_a_checkpoint() -> None:
    first, second = Float16(CPU), Float16(CPU)
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    optimiser = torch.optim.SGD([weight], lr=0.1)
    first.backward((weight * float("inf")).sum())
    first.unscale(optimiser)
    first.overflowed()
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert second.scaler.get_scale() == 32_768


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_training_in_half_precision_is_close_to_the_full_one(
    blocks: FoldBlocks, config: TrialConfig, precision: str
) -> None:
    results = {}
    for name in ("fp32", precision):
        each = config.replace(**{"train.precision": name, "train.epochs": 2})
        results[name] = list(fit(new_state(each, blocks), blocks, each))
    full, half = (results[name][-1] for name in ("fp32", precision))
    assert half.losses["total"] == pytest.approx(full.losses["total"], rel=0.02)
    assert half.bad_steps == 0
