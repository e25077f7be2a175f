"""Settings of the data path: what is prepared, how the calendar is split, how the graph is built.

Every field changes a result, so all of them are part of the trial's configuration and of the store's key.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Frozen(BaseModel):
    """A validated, immutable section; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SplitConfig(Frozen):
    """Fold roles in calendar order: train, search fold, confirm folds, hold-out. All counts are trading days."""

    search_days: int = Field(120, ge=2, description="days that score search trials")
    confirm_days: int = Field(60, ge=2, description="days that score one confirm fold")
    confirm_folds: int = Field(2, ge=1, le=8, description="number of confirm folds")
    holdout_days: int = Field(120, ge=0, description="last days, which a sweep's store does not contain")
    embargo_days: int = Field(0, ge=0, description="extra days left out after the purge of horizon + delay")

    @classmethod
    def for_market(cls, num_days: int) -> SplitConfig:
        """Shares that suit a panel of `num_days`: 14 % search, 2 x 9 % confirm, 14 % hold-out."""
        share = {"search_days": 0.14, "confirm_days": 0.09, "holdout_days": 0.14}
        return cls(**{name: max(2, round(num_days * part)) for name, part in share.items()}, confirm_folds=2)


class NoGraphConfig(Frozen):
    """No edges are built; a graph block then refuses to start."""

    kind: Literal["none"] = "none"


class CorrelationGraphConfig(Frozen):
    """Top-k neighbours by trailing return correlation, rebuilt every `refresh_days`, never from the future."""

    kind: Literal["correlation"] = "correlation"
    window: int = Field(60, ge=10, description="trailing days of the correlation")
    lead_lag_window: int = Field(250, ge=20, description="trailing days of the one-day lead-lag correlation")
    k: int = Field(14, ge=1, description="neighbours per stock before symmetrisation")
    min_correlation: float = Field(0.0, ge=-1, lt=1, description="neighbours must exceed it")
    refresh_days: int = Field(5, ge=1, description="days between rebuilds; a day uses the last graph at or before it")


GraphConfig = Annotated[NoGraphConfig | CorrelationGraphConfig, Field(discriminator="kind")]


class DataConfig(Frozen):
    """Everything that decides which numbers a trial sees."""

    horizons: tuple[int, ...] = Field((1, 5, 10, 20), min_length=1, description="label horizons in trading days")
    delay: int = Field(1, ge=0, description="days between the features' close and the entry close")
    window: int = Field(20, ge=2, description="days of history that one prediction reads (L)")
    clip: float = Field(8.0, gt=0, description="bound of scaled features, in robust standard units")
    min_stocks: int = Field(10, ge=3, description="days with fewer usable stocks are left out")
    splits: SplitConfig = SplitConfig()
    graph: GraphConfig = CorrelationGraphConfig()

    @model_validator(mode="after")
    def _horizons_are_ordered(self) -> DataConfig:
        if list(self.horizons) != sorted(set(self.horizons)) or self.horizons[0] < 1:
            raise ValueError(f"horizons must be distinct, ascending and at least 1, got {self.horizons}")
        return self

    @property
    def warm_up(self) -> int:
        """The earliest day that can be trained on: a window of features, and a graph where one is built."""
        graph_days = self.graph.window if isinstance(self.graph, CorrelationGraphConfig) else 0
        return max(self.window - 1, graph_days)

    @property
    def purge(self) -> int:
        """Days between two folds so that no label windows touch: longest horizon + delay (+ embargo)."""
        return self.horizons[-1] + self.delay + self.splits.embargo_days
