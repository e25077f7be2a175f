"""TrainConfig: how a trial learns. Every field changes a result; machine settings live elsewhere."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from model.groups import GroupConfig, Slot
from model.losses.config import HuberLossConfig, LossConfig
from search_spaces.health import HealthConfig
from search_spaces.phases import PhaseConfig
from search_spaces.schedules import CosineConfig, PlateauConfig, ScheduleUnion

MIN_VALIDATION_DAYS = 10
USUAL_WEIGHTS = (1.0, 0.8, 0.7, 0.5, 0.3)  # the nearer horizon counts more


def weights_for(num_horizons: int, weights: tuple[float, ...]) -> tuple[float, ...]:
    """The weights where they fit the horizons, and the usual ones where they do not."""
    if len(weights) == num_horizons:
        return weights
    return tuple(USUAL_WEIGHTS[min(k, len(USUAL_WEIGHTS) - 1)] for k in range(num_horizons))


class EarlyStoppingConfig(BaseModel):
    """Ends training where the validation days' RankIC has not risen, and goes back to the best epoch's weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    patience: int = Field(10, ge=1, description="epochs without a rise")
    min_delta: float = Field(1e-4, ge=0, description="smallest rise of RankIC that counts")


class TrainConfig(BaseModel):
    """Optimiser, budget and loss of one trial."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(6, ge=1, description="epochs of full budget")
    days_per_epoch: int = Field(
        400, ge=1, description="training days per epoch; fewer days of history make it one pass"
    )
    days_per_step: int = Field(16, ge=1, description="days whose mean loss makes one optimiser step")
    block_days: int = Field(4, ge=1, description="consecutive days per block; a step is made of distant blocks")
    learning_rate: float = Field(1e-3, gt=0, description="peak learning rate of AdamW")
    weight_decay: float = Field(0.01, ge=0)
    schedule: ScheduleUnion = CosineConfig()
    phases: tuple[PhaseConfig, ...] = Field((), description="blocks that learn one after another; none: all at once")
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="of the forward pass; fp16 with a loss scaler that starts at 65,536"
    )
    deterministic: bool = Field(True, description="refuse operations whose result differs from run to run")
    validation_days: int = Field(
        0, ge=0, description="last training days that are watched instead of learned, by early stopping and plateau"
    )
    early_stopping: EarlyStoppingConfig | None = Field(None, description="null is off")
    loss: LossConfig = HuberLossConfig()
    horizon_weights: tuple[float, ...] = Field(
        (1.0, 0.8, 0.7, 0.5), min_length=1, description="of the horizons, in the loss and in the trial's value"
    )
    groups: dict[Slot, GroupConfig] = Field(
        default_factory=dict, description="learning-rate and weight-decay multipliers by block: {graph: {..}}"
    )
    clip_norm: float = Field(1.0, gt=0, description="largest norm of a step's gradient")
    ema_decay: float = Field(0.99, ge=0, lt=1, description="of the averaged weights that are evaluated; 0 is off")
    max_bad_steps: int = Field(3, ge=1, description="non-finite steps in a row that end the trial as diverged")

    health: HealthConfig = HealthConfig()

    @model_validator(mode="after")
    def _watchers_have_days(self) -> TrainConfig:
        watchers = [
            name
            for name, on in (
                ("early_stopping", self.early_stopping is not None),
                ("schedule 'plateau'", isinstance(self.schedule, PlateauConfig)),
            )
            if on
        ]
        if watchers and self.validation_days < MIN_VALIDATION_DAYS:
            raise ValueError(
                f"{' and '.join(watchers)} must have at least {MIN_VALIDATION_DAYS} validation_days to watch, got "
                f"{self.validation_days}: the scored days must not decide when training ends. Set validation_days, 40 "
                f"for example."
            )
        if self.validation_days and not watchers:
            raise ValueError(
                f"validation_days are taken from training for early_stopping or schedule 'plateau' alone, but neither "
                f"is set and validation_days is {self.validation_days}. Set it to 0, or set one of them."
            )
        return self

    @model_validator(mode="after")
    def _phases_fill_the_epochs(self) -> TrainConfig:
        if not self.phases:
            return self
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise ValueError(f"phases must have different names, got {', '.join(names)}")
        if (total := sum(phase.epochs for phase in self.phases)) != self.epochs:
            raise ValueError(
                f"epochs must be the sum of the phases' epochs, {total}, got {self.epochs}. Set train.epochs to "
                f"{total}."
            )
        return self

    @model_validator(mode="after")
    def _blocks_fit_a_step(self) -> TrainConfig:
        if self.days_per_step % self.block_days:
            raise ValueError(f"block_days must divide days_per_step, got {self.block_days} and {self.days_per_step}")
        if min(self.horizon_weights) < 0 or sum(self.horizon_weights) <= 0:
            raise ValueError(f"horizon_weights must be >= 0 and not all 0, got {self.horizon_weights}")
        return self
