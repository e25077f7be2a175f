"""Learning-rate schedules: the factor of the peak rate as a pure function of the step.

All rise linearly over the first `warmup_share` of the steps. Plateau alone also listens: what it has heard is
state of the run and lies in its checkpoint.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class ScheduleConfig(BaseModel):
    """What every schedule has."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str
    warmup_share: float = Field(0.1, ge=0, lt=1, description="share of the steps that the rate rises over")
    warmup_steps: int | None = Field(
        None, ge=0, description="steps in the place of the share; at most half of the training's"
    )

    def factor(self, step: int, total_steps: int) -> float:
        """Of the peak rate, for step 0 .. total_steps - 1: in (0, 1]."""
        warmup = round(total_steps * self.warmup_share)
        if self.warmup_steps is not None:
            warmup = min(self.warmup_steps, total_steps // 2)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return self.after_warmup(step - warmup, max(1, total_steps - warmup))

    def after_warmup(self, step: int, num_steps: int) -> float:
        """Of the peak rate, for step 0 .. num_steps - 1 after the warm-up."""
        return 1.0


class ConstantConfig(ScheduleConfig):
    """Stays at the peak."""

    kind: Literal["constant"] = "constant"


class CosineConfig(ScheduleConfig):
    """Half a cosine from the peak to the floor (Loshchilov & Hutter 2017, eq. 5, one period)."""

    kind: Literal["cosine"] = "cosine"
    floor: float = Field(0.0, ge=0, lt=1, description="factor of the peak at the end")

    def after_warmup(self, step: int, num_steps: int) -> float:
        return _half_cosine(step / num_steps, self.floor)


class RestartsConfig(ScheduleConfig):
    """Cosines that begin anew, each period `growth` times as long as the one before (Loshchilov & Hutter 2017)."""

    kind: Literal["cosine_restarts"] = "cosine_restarts"
    periods: int = Field(3, ge=1, le=10, description="number of cosines")
    growth: float = Field(2.0, ge=1, description="length of a period over that of the one before")
    floor: float = Field(0.0, ge=0, lt=1, description="factor of the peak at the end of a period")

    def after_warmup(self, step: int, num_steps: int) -> float:
        lengths = [self.growth**k for k in range(self.periods)]
        place = step / num_steps * sum(lengths)
        for length in lengths[:-1]:
            if place < length:
                return _half_cosine(place / length, self.floor)
            place -= length
        return _half_cosine(place / lengths[-1], self.floor)


class OneCycleConfig(ScheduleConfig):
    """One cosine up, one down far below the start (Smith & Topin 2018)."""

    kind: Literal["one_cycle"] = "one_cycle"
    warmup_share: float = Field(0.3, gt=0, lt=1, description="share of the steps that the rate rises over")
    start: float = Field(0.04, gt=0, lt=1, description="factor of the peak at the first step")
    floor: float = Field(4e-6, ge=0, lt=1, description="factor of the peak at the end")

    def factor(self, step: int, total_steps: int) -> float:
        rising = max(1, round(total_steps * self.warmup_share))
        if step < rising:
            return self.start + (1 - self.start) * (1 - _half_cosine(step / rising, 0.0))
        return _half_cosine((step - rising) / max(1, total_steps - rising), self.floor)


class PlateauConfig(ScheduleConfig):
    """Multiplied by `factor_on_plateau` where the validation days' RankIC has not risen for `patience` epochs."""

    kind: Literal["plateau"] = "plateau"
    factor_on_plateau: float = Field(0.5, gt=0, lt=1)
    patience: int = Field(5, ge=1, description="epochs without a rise before the rate falls")
    min_delta: float = Field(1e-4, ge=0, description="smallest rise of RankIC that counts")
    min_factor: float = Field(1e-3, gt=0, le=1, description="of the peak rate, below which it does not fall")


ScheduleUnion = Annotated[
    CosineConfig | RestartsConfig | OneCycleConfig | PlateauConfig | ConstantConfig, Field(discriminator="kind")
]


def _half_cosine(share: float, floor: float) -> float:
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
