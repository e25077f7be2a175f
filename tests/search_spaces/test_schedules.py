"""Schedules: pure functions of the step that rise to the peak once and never leave (0, 1]."""

from __future__ import annotations

import math

import pytest
import torch

from search_spaces.schedules import (
    ConstantConfig,
    CosineConfig,
    OneCycleConfig,
    PlateauConfig,
    RestartsConfig,
    ScheduleConfig,
)

STEPS = 200
ALL = [CosineConfig(), RestartsConfig(), OneCycleConfig(), PlateauConfig(), ConstantConfig()]
each = pytest.mark.parametrize("schedule", ALL, ids=lambda schedule: schedule.kind)


def factors(schedule: ScheduleConfig, steps: int = STEPS) -> list[float]:
    return [schedule.factor(step, steps) for step in range(steps)]


@each
def test_every_factor_is_above_zero_and_the_peak_is_reached(schedule: ScheduleConfig) -> None:
    given = factors(schedule)
    assert all(0 < factor <= 1 for factor in given)
    assert max(given) == pytest.approx(1.0, abs=1e-3)


@each
@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_a_training_of_a_few_steps_has_a_rate_at_each(schedule: ScheduleConfig, steps: int) -> None:
    assert all(0 < factor <= 1 for factor in factors(schedule, steps))


@each
def test_the_rate_rises_over_the_warm_up(schedule: ScheduleConfig) -> None:
    warmup = round(STEPS * schedule.warmup_share)
    rising = factors(schedule)[: warmup + 1]
    assert rising == sorted(rising)
    assert rising[0] < 0.1


def test_without_a_warm_up_the_first_step_is_the_peak() -> None:
    assert CosineConfig(warmup_share=0.0).factor(0, STEPS) == 1.0


@pytest.mark.parametrize("floor", [0.0, 0.2])
def test_cosine_is_that_of_torch(floor: float) -> None:
    ours = factors(CosineConfig(warmup_share=0.0, floor=floor))
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS, eta_min=floor)
    for mine in ours:
        assert mine == pytest.approx(theirs.get_last_lr()[0])
        optimiser.step()
        theirs.step()


def test_restarts_are_those_of_torch() -> None:
    schedule = RestartsConfig(warmup_share=0.0, periods=3, growth=2.0)
    ours = factors(schedule, 70)  # periods of 10, 20 and 40
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimiser, T_0=10, T_mult=2)
    for mine in ours:
        assert mine == pytest.approx(theirs.get_last_lr()[0], abs=1e-9)
        optimiser.step()
        theirs.step()


def test_one_cycle_goes_up_and_far_down() -> None:
    schedule = OneCycleConfig()
    given = factors(schedule)
    top = given.index(max(given))
    assert top == round(0.3 * STEPS)
    assert given[:top] == sorted(given[:top])
    assert given[top:] == sorted(given[top:], reverse=True)
    assert given[0] == pytest.approx(schedule.start)
    assert given[-1] < 1e-3


def test_the_plateau_schedule_itself_stays_at_the_peak() -> None:
    assert set(factors(PlateauConfig(warmup_share=0.0))) == {1.0}


def test_a_factor_depends_on_nothing_but_the_step() -> None:
    schedule = CosineConfig()
    assert schedule.factor(37, STEPS) == schedule.factor(37, STEPS)
    assert math.isclose(schedule.factor(50, 100), schedule.factor(100, 200), rel_tol=0.02)
