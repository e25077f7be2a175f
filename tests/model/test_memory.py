"""The forecast of a step's memory: against the measured peak at other sizes, and what a peak is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from model.config import ModelConfig
from model.memory import MemoryLine, forecast, peak_bytes, predict_memory
from tests.model.samples import REFERENCE, SIZES, every_network, inputs, network

CPU = torch.device("cpu")
NETWORKS = [pytest.param(config, id=name) for name, config in every_network()]


def _step(config: ModelConfig, stocks: int = 60) -> Callable[[int], None]:
    net = network(config).train()

    def step(days: int) -> None:
        out = net(*inputs(days, stocks))
        (out.score_BNK.square().mean() + out.auxiliary).backward()

    return step


@pytest.mark.parametrize("config", NETWORKS)
def test_the_forecast_at_ten_days_is_the_measured_peak(config: ModelConfig) -> None:
    step = _step(config)
    line = predict_memory(step, CPU)
    assert line.peak(10) == pytest.approx(peak_bytes(step, 10, CPU), rel=0.05)


def test_a_peak_is_what_lives_at_once_and_not_what_is_made() -> None:
    def step(days: int) -> torch.Tensor:
        x = torch.zeros(days, 1 << 18)  # 1 MiB per day
        for _ in range(5):
            x = x + 1
        return x.sum()

    assert peak_bytes(step, 3, CPU) == pytest.approx(2 * 3 * 2**20, rel=0.01)


def test_views_and_tensors_that_were_there_do_not_count() -> None:
    there = torch.zeros(1 << 20)
    assert peak_bytes(lambda _: there.view(2, -1)[0].t(), 1, CPU) == 0
    assert peak_bytes(lambda _: there.add_(1), 1, CPU) == 0


def test_the_backward_pass_counts() -> None:
    weight = torch.zeros(1 << 18, requires_grad=True)

    def forward(_: int) -> torch.Tensor:
        return (weight * 2).exp().sum()

    def both(days: int) -> None:
        forward(days).backward()

    assert peak_bytes(both, 1, CPU) > peak_bytes(forward, 1, CPU)


def test_a_line_says_the_most_days_that_fit() -> None:
    line = MemoryLine(fixed=100.0, per_day=30.0)
    assert line.peak(4) == 220
    assert [line.days_within(n) for n in (90, 129, 130, 219, 220)] == [0, 0, 1, 3, 4]


def test_checkpointing_lowers_the_forecast() -> None:
    def line(**options: object) -> MemoryLine:
        net = network(REFERENCE, **options).train()
        return predict_memory(lambda days: net(*inputs(days, 60)).score_BNK.sum().backward(), CPU)

    assert line(checkpointed=("norm", "temporal")).per_day < 0.9 * line().per_day


@pytest.mark.parametrize("sizes", [(0, 1), (2, 2), (3, 1)])
def test_probes_ascend(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="two sizes, the second larger"):
        predict_memory(lambda days: None, CPU, sizes)


@pytest.mark.parametrize("config", NETWORKS)
def test_a_configuration_can_be_forecast_without_data(config: ModelConfig) -> None:
    line = forecast(config, SIZES, 60, CPU, degree=3)
    assert line.peak(8) == pytest.approx(peak_bytes(_step(config), 8, CPU), rel=0.35)
    wider = forecast(config, SIZES, 120, CPU, degree=3)
    assert wider.per_day > 1.6 * line.per_day
