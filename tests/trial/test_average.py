"""The averaged weights against their equation; off is the trained weights themselves."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trial.average import MovingAverage, NoAverage, evaluated_weights, make_average


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))


def test_it_is_the_warmed_up_recursion() -> None:
    net = Net()
    average, expected = MovingAverage(net, 0.9), torch.zeros(3)
    for step in range(1, 40):
        with torch.no_grad():
            net.weight.copy_(torch.randn(3, generator=torch.Generator().manual_seed(step)))
            net.count.fill_(step)
        average.update(net, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * net.weight.detach()
    torch.testing.assert_close(average.weights(net)["weight"], expected)
    assert average.weights(net)["count"] == 39, "what is no floating number is copied"


def test_a_short_run_is_not_judged_on_its_initial_weights() -> None:
    net = Net()
    average = MovingAverage(net, 0.9999)
    with torch.no_grad():
        net.weight.fill_(1.0)
    for step in range(1, 21):
        average.update(net, step)
    assert average.weights(net)["weight"].min() > 0.95


def test_off_is_the_trained_weights() -> None:
    net, average = Net(), make_average(Net(), 0.0)
    assert isinstance(average, NoAverage)
    average.update(net, 1)
    assert torch.equal(average.weights(net)["weight"], net.weight)


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_the_trained_weights_come_back_even_after_an_error(decay: float) -> None:
    net = Net()
    average = make_average(net, decay)
    with torch.no_grad():
        net.weight.fill_(5.0)

    def evaluate() -> None:
        with evaluated_weights(net, average):
            assert net.weight[0] == (0.0 if decay else 5.0)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        evaluate()
    assert net.weight[0] == 5.0
