"""Several augmentations, one after the other."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from model.augment.feature_dropout import FeatureDropoutConfig
from model.augment.freq_dropout import FreqDropoutConfig
from model.augment.jitter import JitterConfig
from model.augment.time_masking import TimeMaskingConfig
from model.protocols import BlockConfig, Sizes

Step = Annotated[
    FreqDropoutConfig | FeatureDropoutConfig | JitterConfig | TimeMaskingConfig, Field(discriminator="kind")
]


class AugmentSequenceConfig(BlockConfig):
    kind: Literal["sequence"] = "sequence"
    steps: tuple[Step, ...] = Field((FreqDropoutConfig(), JitterConfig()), min_length=1)

    def build(self, sizes: Sizes) -> nn.Module:
        return nn.Sequential(*(step.build(sizes) for step in self.steps))
