"""What a trial minimises: the documented sum of named parts.

    total = w . by_horizon / sum(w)              the loss of its kind: mse, huber or quantile
          + rank.weight * w . rank / sum(w)      differentiable rank loss, where there is one
          + spread.weight * w . short / sum(w)   floor under the spread of predictions, where there is one
          + auxiliary_weight * auxiliary         the normaliser's error about the day to come
          + the blocks' own penalties            attention, alpha; weighted by their configs

Parts are logged as they stand in the sum, weights included. The loss of its kind is also logged per horizon, as
`huber/5`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from model.atft import Prediction
from model.losses.daily import weighted
from model.losses.pointwise import huber_by_horizon, mse_by_horizon, quantile_by_horizon
from model.losses.rank import rank_loss_by_horizon
from model.losses.variance import variance_floor_by_horizon
from model.protocols import BlockConfig

LossParts = dict[str, Tensor]


class RankTerm(BlockConfig):
    """One minus the daily soft rank correlation (`model.losses.rank`)."""

    weight: float = Field(0.3, gt=0)
    temperature: float = Field(0.1, gt=0, description="softness of ranks, in deviations of a day's scores")


class SpreadTerm(BlockConfig):
    """A floor under the spread of a day's predictions (`model.losses.variance`)."""

    weight: float = Field(0.1, gt=0)
    floor: float = Field(0.02, gt=0, description="as a share of the spread of the day's targets")


class BaseLossConfig(BlockConfig, ABC):
    """What every loss has besides its kind."""

    kind: str
    rank: RankTerm | None = Field(None, description="a differentiable rank loss beside it; null is off")
    spread: SpreadTerm | None = Field(None, description="a floor under the predictions' spread; null is off")
    auxiliary_weight: float = Field(0.05, ge=0, description="weight of the normaliser's auxiliary loss")

    def build(self, horizons: tuple[int, ...], weights: tuple[float, ...], levels: tuple[float, ...]) -> Loss:
        """The loss of a head that predicts these levels at these horizons, of these weights.

        Raises:
            ValueError: the loss does not go with the head.
        """
        self.refuse_head(levels)
        return Loss(self, horizons, weights, levels)

    def refuse_head(self, levels: tuple[float, ...]) -> None:
        """Raises ValueError where a head of these levels would have outputs that learn nothing."""
        if len(levels) > 1:
            raise ValueError(
                f"a quantile head must learn by the quantile loss, but loss is {self.kind!r}: all its levels but the "
                f"median would learn nothing. Set train.loss to {{kind: quantile}}, or model.head to {{kind: point}}."
            )

    @abstractmethod
    def by_horizon(self, out: Prediction, target_BNK: Tensor, mask_BNK: Tensor, levels: tuple[float, ...]) -> Tensor:
        """The loss of its kind: [K]."""


class MSELossConfig(BaseLossConfig):
    kind: Literal["mse"] = "mse"

    def by_horizon(self, out: Prediction, target_BNK: Tensor, mask_BNK: Tensor, levels: tuple[float, ...]) -> Tensor:
        return mse_by_horizon(out.score_BNK, target_BNK, mask_BNK)


class HuberLossConfig(BaseLossConfig):
    kind: Literal["huber"] = "huber"
    delta: float = Field(1.0, gt=0, description="in units of the target, by default a day's cross-sectional deviation")

    def by_horizon(self, out: Prediction, target_BNK: Tensor, mask_BNK: Tensor, levels: tuple[float, ...]) -> Tensor:
        return huber_by_horizon(out.score_BNK, target_BNK, mask_BNK, self.delta)


class QuantileLossConfig(BaseLossConfig):
    kind: Literal["quantile"] = "quantile"

    def refuse_head(self, levels: tuple[float, ...]) -> None:
        if len(levels) == 1:
            raise ValueError(
                "a quantile loss must have a quantile head, but the head predicts a point. Set model.head to "
                "{kind: quantile}, or train.loss to {kind: huber}."
            )

    def by_horizon(self, out: Prediction, target_BNK: Tensor, mask_BNK: Tensor, levels: tuple[float, ...]) -> Tensor:
        return quantile_by_horizon(out.level_BNKQ, target_BNK, mask_BNK, levels)


LossConfig = Annotated[HuberLossConfig | MSELossConfig | QuantileLossConfig, Field(discriminator="kind")]


class Loss:
    """(prediction, target [B, N, K], mask [B, N, K]) -> the parts of the sum, `total` first."""

    def __init__(
        self,
        config: BaseLossConfig,
        horizons: tuple[int, ...],
        weights: tuple[float, ...],
        levels: tuple[float, ...],
    ) -> None:
        self.config, self.horizons, self.weights, self.levels = config, horizons, weights, levels

    def __call__(self, out: Prediction, target_BNK: Tensor, mask_BNK: Tensor) -> LossParts:
        config, weights = self.config, self.weights
        by_horizon = config.by_horizon(out, target_BNK, mask_BNK, self.levels)
        parts = {config.kind: weighted(by_horizon, weights)}
        if config.rank is not None:
            rank = rank_loss_by_horizon(out.score_BNK, target_BNK, mask_BNK, config.rank.temperature)
            parts["rank"] = config.rank.weight * weighted(rank, weights)
        if config.spread is not None:
            short = variance_floor_by_horizon(out.score_BNK, target_BNK, mask_BNK, config.spread.floor)
            parts["spread"] = config.spread.weight * weighted(short, weights)
        if config.auxiliary_weight:
            parts["auxiliary"] = config.auxiliary_weight * out.auxiliary
        parts |= out.penalties
        total = sum(parts.values(), out.auxiliary.new_zeros(()))
        return {"total": total} | parts | {f"{config.kind}/{h}": by_horizon[k] for k, h in enumerate(self.horizons)}
