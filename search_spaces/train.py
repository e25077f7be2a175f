"""TrainConfig: how a trial learns. Every field changes a result; machine settings live elsewhere."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from model.groups import GroupConfig, Slot
from model.losses.config import HuberLossConfig, LossConfig

USUAL_WEIGHTS = (1.0, 0.8, 0.7, 0.5, 0.3)  # the nearer horizon counts more


def weights_for(num_horizons: int, weights: tuple[float, ...]) -> tuple[float, ...]:
    """The weights where they fit the horizons, and the usual ones where they do not."""
    if len(weights) == num_horizons:
        return weights
    return tuple(USUAL_WEIGHTS[min(k, len(USUAL_WEIGHTS) - 1)] for k in range(num_horizons))


class TrainConfig(BaseModel):
    """Optimiser, budget and loss of one trial."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(6, ge=1, description="epochs of full budget")
    days_per_epoch: int = Field(
        400, ge=1, description="training days per epoch; fewer days of history make it one pass"
    )
    days_per_step: int = Field(16, ge=1, description="days whose mean loss makes one optimiser step")
    block_days: int = Field(4, ge=1, description="consecutive days per block; a step is made of distant blocks")
    learning_rate: float = Field(2e-3, gt=0, description="peak learning rate of AdamW")
    weight_decay: float = Field(0.01, ge=0)
    warmup_share: float = Field(0.1, ge=0, lt=1, description="share of all steps that the rate rises over")
    loss: LossConfig = HuberLossConfig()
    horizon_weights: tuple[float, ...] = Field(
        (1.0, 0.8, 0.7, 0.5), min_length=1, description="of the horizons, in the loss and in the trial's value"
    )
    groups: dict[Slot, GroupConfig] = Field(
        default_factory=dict, description="learning-rate and weight-decay multipliers by block: {graph: {..}}"
    )
    clip_norm: float = Field(1.0, gt=0, description="largest norm of a step's gradient")
    ema_decay: float = Field(0.97, ge=0, lt=1, description="of the averaged weights that are evaluated; 0 is off")
    max_bad_steps: int = Field(3, ge=1, description="non-finite steps in a row that end the trial as diverged")

    @model_validator(mode="after")
    def _blocks_fit_a_step(self) -> TrainConfig:
        if self.days_per_step % self.block_days:
            raise ValueError(f"block_days must divide days_per_step, got {self.block_days} and {self.days_per_step}")
        if min(self.horizon_weights) < 0 or sum(self.horizon_weights) <= 0:
            raise ValueError(f"horizon_weights must be >= 0 and not all 0, got {self.horizon_weights}")
        return self
