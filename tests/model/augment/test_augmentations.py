"""Feature dropout, jitter, time masking and their sequence: training alone, their equations, their rates."""

from __future__ import annotations

import pytest
import torch

from model.augment.feature_dropout import FeatureDropoutConfig
from model.augment.freq_dropout import FreqDropoutConfig
from model.augment.jitter import JitterConfig
from model.augment.sequence import AugmentSequenceConfig
from model.augment.time_masking import TimeMaskingConfig
from model.protocols import BlockConfig
from tests.model.samples import SIZES, members, normal

B, N, L, H = 4, 300, SIZES.window, SIZES.hidden
AUGMENTATIONS = [member() for member in members("augment") if member().kind != "identity"]
each_augmentation = pytest.mark.parametrize("config", AUGMENTATIONS, ids=lambda config: config.kind)


@each_augmentation
def test_evaluation_is_the_identity_and_training_is_not(config: BlockConfig) -> None:
    block, x = config.build(SIZES), normal(B, N, L, H)
    assert torch.equal(block.eval()(x), x)
    assert not torch.equal(block.train()(x), x)


@each_augmentation
def test_the_global_generator_alone_decides_the_draw(config: BlockConfig) -> None:
    block, x = config.build(SIZES).train(), normal(B, N, L, H)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(block(x))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@each_augmentation
def test_the_expectation_stays_near_the_window(config: BlockConfig) -> None:
    """Nothing is shifted on average: a perturbation, not another signal."""
    block, x = config.build(SIZES).train(), 2 + normal(1, 1, L, H).expand(B, 4000, L, H)
    mean = block(x).mean(dim=(0, 1))
    assert (mean.mean(dim=0) - x[0, 0].mean(dim=0)).abs().max() < 0.1


def test_feature_dropout_takes_whole_channels_of_a_stock_and_scales_the_rest() -> None:
    block, x = FeatureDropoutConfig(probability=0.3).build(SIZES).train(), 1 + normal(B, N, L, H).abs()
    factor = block(x) / x
    torch.testing.assert_close(factor, factor[:, :, :1].expand_as(factor))
    gone = factor[:, :, 0] == 0
    torch.testing.assert_close(factor[:, :, 0][~gone], torch.full_like(factor[:, :, 0][~gone], 1 / 0.7))
    assert abs(gone.float().mean() - 0.3) < 0.02


def test_jitter_is_normal_noise_in_units_of_the_windows_deviation() -> None:
    scales = torch.tensor([0.1, 1.0, 10.0, 0.0]).repeat(2)
    block, x = JitterConfig(scale=0.2).build(SIZES).train(), 5 + normal(B, N, L, H) * scales
    noise = block(x) - x
    torch.testing.assert_close(noise.std(dim=(0, 1, 2)), 0.2 * scales, rtol=0.06, atol=0)
    assert noise[..., 3].abs().max() == 0, "a window that stands still is left alone"


def test_jitter_learns_nothing_from_the_deviation() -> None:
    block, x = JitterConfig().build(SIZES).train(), normal(B, N, L, H).requires_grad_()
    block(x).sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))


def test_time_masking_sets_one_run_of_days_before_the_last_to_the_mean() -> None:
    block, x = TimeMaskingConfig(probability=0.5, width=0.3).build(SIZES).train(), normal(B, N, L, H)
    masked = (block(x) != x).any(dim=-1)
    assert not masked[..., -1].any()
    assert abs(masked.any(dim=-1).float().mean() - 0.5) < 0.05
    assert masked.sum(dim=-1).max() == round(0.3 * (L - 1))
    starts = (masked[..., 1:] & ~masked[..., :-1]).sum(dim=-1) + masked[..., 0]
    assert starts.max() == 1, "one run, not several"
    mean = x.mean(dim=2, keepdim=True).expand_as(x)
    torch.testing.assert_close(block.eval()(x), x)
    torch.manual_seed(3)
    out, again = block.train()(x), masked
    torch.manual_seed(3)
    again = block.run(x.shape[:2], L, x.device)
    torch.testing.assert_close(out[again], mean[again])
    assert torch.equal(out[~again], x[~again])


@pytest.mark.parametrize("place", range(L - 1))
def test_every_day_before_the_last_can_be_masked(place: int) -> None:
    block = TimeMaskingConfig(probability=1.0, width=0.2).build(SIZES)
    assert block.run(torch.Size((2000,)), L, torch.device("cpu"))[:, place].any()


def test_a_sequence_is_its_steps_one_after_the_other() -> None:
    steps = (JitterConfig(scale=0.3), FreqDropoutConfig(probability=0.9), FeatureDropoutConfig())
    together, x = AugmentSequenceConfig(steps=steps).build(SIZES).train(), normal(B, N, L, H)
    torch.manual_seed(1)
    expected = x
    for step in steps:
        expected = step.build(SIZES).train()(expected)
    torch.manual_seed(1)
    assert torch.equal(together(x), expected)
