"""Health: every sickness is injected, found, named, and answered as the configuration says."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from data.loader import FoldBlocks
from search_spaces.config import TrialConfig
from search_spaces.health import HealthConfig
from trial.endings import TrialEnded
from trial.evaluate import EpochResult
from trial.fit import fit
from trial.health import Health, gradient_sizes
from trial.state import TrainState, new_state


class Detached(nn.Module):
    """A graph block that is configured and computes, but whose message has lost its gradient."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, *inputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        message, _ = self.block(*inputs)
        return message.detach(), {}


class Faint(torch.autograd.Function):
    """Passes its input, and a millionth of a millionth of its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 1e-12 * gradient


class Fading(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, *inputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        message, _ = self.block(*inputs)
        return Faint.apply(message), {}


class Noisy(nn.Module):
    """An augmentation that drowns what it should perturb."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 300 * torch.randn_like(x) if self.training else x


def run(state: TrainState, blocks: FoldBlocks, config: TrialConfig) -> list[EpochResult]:
    return list(fit(state, blocks, config))


def kinds(results: list[EpochResult]) -> list[str]:
    return [event["kind"] for result in results for event in result.events]


def answered(config: TrialConfig, **answers: object) -> TrialConfig:
    return config.replace(**{"train.epochs": 2} | {f"train.health.{name}": value for name, value in answers.items()})


def test_a_sound_training_has_no_dead_block(blocks: FoldBlocks, config: TrialConfig) -> None:
    config = answered(config)
    assert not {"dead_block", "vanishing_gradient", "exploding_loss"} & set(
        kinds(run(new_state(config, blocks), blocks, config))
    )


def test_a_dead_block_ends_the_trial_by_name(blocks: FoldBlocks, config: TrialConfig) -> None:
    state = new_state(config, blocks)
    state.model.graph = Detached(state.model.graph)
    state.average = type(state.average)(state.model, 0.9)
    with pytest.raises(TrialEnded, match="block 'graph' has had no gradient in the first 3 steps") as end:
        run(state, blocks, config)
    assert end.value.reason == "dead_block"
    assert not state.results


def test_a_dead_block_can_warn_or_be_ignored(blocks: FoldBlocks, config: TrialConfig) -> None:
    for answer, expected in (("warn", ["dead_block"]), ("ignore", [])):
        each = answered(config, dead_block=answer, uniform_attention="ignore", spread_gap="ignore")
        state = new_state(each, blocks)
        state.model.graph = Detached(state.model.graph)
        state.average = type(state.average)(state.model, 0.9)
        found = [kind for kind in kinds(run(state, blocks, each)) if kind == "dead_block"]
        assert found == expected, "it is told once"


def test_a_vanishing_gradient_is_told_with_its_size(blocks: FoldBlocks, config: TrialConfig) -> None:
    config = answered(config)
    state = new_state(config, blocks)
    state.model.graph = Fading(state.model.graph)
    state.average = type(state.average)(state.model, 0.9)
    (event,) = [e for r in run(state, blocks, config) for e in r.events if e["kind"] == "vanishing_gradient"]
    assert event["about"] == "graph"
    assert "is tiny: root mean square" in event["sentence"]


def test_an_exploding_loss_ends_the_trial(blocks: FoldBlocks, config: TrialConfig) -> None:
    config = answered(config).replace(**{"train.learning_rate": 1e6, "train.clip_norm": 1e6})
    with pytest.raises(TrialEnded) as end:
        run(new_state(config, blocks), blocks, config)
    assert end.value.reason in ("exploding_loss", "diverged")


def test_an_exploded_epoch_is_compared_with_the_first_steps() -> None:
    health = Health(HealthConfig(exploding_loss="warn", explosion_factor=10))
    for loss in (1.0, 2.0, 3.0, 500.0):
        health.hear_loss(loss)
    assert [event.kind for event in health._loss(9.9)] == []
    (event,) = health._loss(12.0)
    assert "12 times the least of the first 3 steps" in event.sentence


def test_even_attention_is_told_when_training_ends(blocks: FoldBlocks, config: TrialConfig) -> None:
    config = answered(config, even_attention=0.5)
    results = run(new_state(config, blocks), blocks, config)
    assert "uniform_attention" in kinds(results[-1:])
    assert "uniform_attention" not in kinds(results[:-1])
    assert results[-1].vitals["attention_entropy"] > 0.5


@pytest.mark.parametrize(("bias", "words"), [(-50.0, "shuts the neighbours out"), (50.0, "lets all of")])
def test_a_saturated_gate_is_told(blocks: FoldBlocks, config: TrialConfig, bias: float, words: str) -> None:
    config = answered(config, vanishing_gradient="ignore", dead_block="ignore")
    state = new_state(config, blocks)
    with torch.no_grad():
        state.model.fusion.gate.bias.fill_(bias)
    state.average = type(state.average)(state.model, 0.9)
    (event,) = [e for r in run(state, blocks, config) for e in r.events if e["kind"] == "saturated_gate"]
    assert words in event["sentence"]


def test_flat_predictions_are_told_beside_the_targets_spread(blocks: FoldBlocks, config: TrialConfig) -> None:
    config = answered(config, least_spread=10.0)
    (event,) = [
        e for r in run(new_state(config, blocks), blocks, config) for e in r.events if e["kind"] == "flat_predictions"
    ]
    assert "hardly differ between stocks" in event["sentence"]


def test_a_spread_gap_under_augmentation_is_told(blocks: FoldBlocks, config: TrialConfig) -> None:
    config = answered(config, spread_ratio=1.02)
    state = new_state(config, blocks)
    state.model.augment = Noisy()
    (event,) = [e for r in run(state, blocks, config) for e in r.events if e["kind"] == "spread_gap"]
    assert "what is learned is not what is evaluated" in event["sentence"]


def test_looking_draws_no_random_number_of_the_training(blocks: FoldBlocks, config: TrialConfig) -> None:
    often, seldom = (answered(config, every_steps=n, first_steps=n) for n in (1, 3))
    results = [run(new_state(each, blocks), blocks, each) for each in (often, seldom)]
    assert [r.value for r in results[0]] == [r.value for r in results[1]]


def test_what_it_has_seen_survives_a_checkpoint() -> None:
    first, second = Health(HealthConfig()), Health(HealthConfig())
    first.told.add("vanishing_gradient/graph")
    first.alive.add("head")
    first.hear_loss(2.0)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert second.state_dict() == first.state_dict()


def test_a_parameter_without_a_gradient_counts_as_zero(blocks: FoldBlocks, config: TrialConfig) -> None:
    model = new_state(config, blocks).model
    assert set(gradient_sizes(model).values()) == {0.0}
    for parameter in model.head.parameters():
        parameter.grad = torch.full_like(parameter, 2.0)
    assert gradient_sizes(model)["head"] == pytest.approx(2.0)
