"""HealthConfig: when a trial calls itself sick, and whether it then ends or warns."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Answer = Literal["end", "warn", "ignore"]


class HealthConfig(BaseModel):
    """Answers to what a training can suffer from; NaN and constant predictions always end it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dead_block: Answer = Field("end", description="a configured block has had no gradient in any of the first steps")
    vanishing_gradient: Answer = Field("warn", description="a block's gradient is tiny beside the network's")
    exploding_loss: Answer = Field("end", description="an epoch's loss is far above that of the first steps")
    uniform_attention: Answer = Field("warn", description="attention is still even when training ends")
    saturated_gate: Answer = Field("warn", description="the fusion lets in nearly nothing, or nothing else")
    flat_predictions: Answer = Field("warn", description="predictions hardly differ between stocks when training ends")
    spread_gap: Answer = Field("warn", description="predictions spread otherwise in training than in evaluation")
    first_steps: int = Field(3, ge=1, description="steps that are looked at one by one")
    every_steps: int = Field(50, ge=1, description="steps between later looks at the gradients")
    vanishing_ratio: float = Field(1e-6, gt=0, lt=1, description="of the root mean square gradients, block to largest")
    explosion_factor: float = Field(20.0, gt=1, description="epoch's loss over the least of the first steps")
    even_attention: float = Field(0.999, gt=0, le=1, description="entropy over its largest value that counts as even")
    gate_margin: float = Field(0.01, gt=0, lt=0.5, description="mean share of neighbours within this of 0 or 1")
    least_spread: float = Field(2e-3, gt=0, description="daily spread of predictions over that of targets")
    spread_ratio: float = Field(3.0, gt=1, description="training spread over evaluation spread, or its inverse")
