"""Which blocks learn in an epoch, and how fast. A training without phases is one phase in which all do."""

from __future__ import annotations

from typing import NamedTuple

import torch

from model.atft import ATFT
from search_spaces.phases import ALL_SLOTS, PhaseConfig
from search_spaces.train import TrainConfig

WHOLE = "all"


class Span(NamedTuple):
    """A phase and where it lies."""

    config: PhaseConfig
    first: int  # epochs trained before it begins

    @property
    def end(self) -> int:
        """Epochs trained when it is over."""
        return self.first + self.config.epochs


def spans(train: TrainConfig) -> list[Span]:
    """The phases in their order; the one phase of a training without any is named 'all'."""
    whole = PhaseConfig(name=WHOLE, epochs=train.epochs, learning_rate=train.learning_rate, learns=ALL_SLOTS)
    found, first = [], 0
    for phase in train.phases or (whole,):
        found.append(Span(phase, first))
        first += phase.epochs
    return found


def span_at(train: TrainConfig, epoch: int) -> Span:
    """The phase in which the epoch after `epoch` trained ones lies."""
    return next(span for span in spans(train) if epoch < span.end)


def begin_training(model: ATFT, phase: PhaseConfig) -> None:
    """Training mode for the blocks that learn; the others stand still: no gradient, no dropout, no perturbation."""
    model.train()
    for slot, block in model.named_children():
        learns = slot in phase.learns
        block.train(learns)
        block.requires_grad_(learns)


def set_rate(
    optimizer: torch.optim.Optimizer, train: TrainConfig, span: Span, step: int, num_steps: int, factor: float
) -> float:
    """Sets every group's learning rate for a step, and returns the rate before the groups' multipliers.

    Args:
        optimizer: with the groups of `model.groups`.
        train: the schedule.
        span: the phase in force.
        step: of the phase, from 0.
        num_steps: of the phase.
        factor: what the watches make of the rate.
    """
    rate = span.config.learning_rate * factor * train.schedule.factor(step, num_steps)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["multiplier"]
    return rate
