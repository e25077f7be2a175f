"""The weights that are evaluated: an exponential moving average of those that are trained, or those themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


class Average(Protocol):
    """What the loop needs of the weights to be evaluated."""

    def update(self, model: nn.Module, step: int) -> None:
        """After step number `step`, from 1."""

    def weights(self, model: nn.Module) -> Weights:
        """What is evaluated: the state that a network would load; not to be changed."""
        ...

    def load(self, weights: Weights) -> None:
        """Puts other weights in their place."""


class MovingAverage:
    """a <- d a + (1 - d) w, d = min(decay, (1 + t) / (10 + t)): a short run is not judged on its initial weights."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._average = _copied(model.state_dict())

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        own, averages = model.state_dict(), self._average
        floats = [name for name, value in own.items() if value.dtype.is_floating_point]
        torch._foreach_lerp_([averages[name] for name in floats], [own[name] for name in floats], share)
        for name in own.keys() - set(floats):
            averages[name].copy_(own[name])

    def weights(self, model: nn.Module) -> Weights:
        return self._average

    def load(self, weights: Weights) -> None:
        self._average = _copied(weights)


class NoAverage:
    """The trained weights as they stand."""

    def update(self, model: nn.Module, step: int) -> None:
        pass

    def weights(self, model: nn.Module) -> Weights:
        return model.state_dict()

    def load(self, weights: Weights) -> None:
        pass


def make_average(model: nn.Module, decay: float) -> Average:
    """An average of that decay; of 0, none."""
    return MovingAverage(model, decay) if decay else NoAverage()


@contextmanager
def evaluated_weights(model: nn.Module, average: Average) -> Iterator[None]:
    """The network with the weights to be evaluated, inside the block alone."""
    own = _copied(model.state_dict())
    model.load_state_dict(average.weights(model))
    try:
        yield
    finally:
        model.load_state_dict(own)


def _copied(weights: Weights) -> Weights:
    return {name: value.detach().clone() for name, value in weights.items()}
