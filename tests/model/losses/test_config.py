"""The sum of named parts: what stands in it, with which weight, and which losses go with which heads."""

from __future__ import annotations

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from model.atft import Prediction
from model.losses.config import (
    BaseLossConfig,
    HuberLossConfig,
    LossConfig,
    LossParts,
    MSELossConfig,
    QuantileLossConfig,
    RankTerm,
    SpreadTerm,
)
from model.losses.daily import weighted
from model.losses.pointwise import huber_by_horizon, mse_by_horizon, quantile_by_horizon
from model.losses.rank import rank_loss_by_horizon
from model.losses.variance import variance_floor_by_horizon
from tests.model.samples import normal, uniform

HORIZONS, WEIGHTS, LEVELS = (1, 5, 20), (1.0, 0.8, 0.5), (0.1, 0.5, 0.9)
TARGET, MASK = normal(4, 9, 3, seed=1), uniform(4, 9, 3, seed=2) < 0.7
OUT = Prediction(
    level_BNKQ=normal(4, 9, 3, 3),
    score_BNK=normal(4, 9, 3, 3)[..., 1],
    auxiliary=torch.tensor(2.0),
    penalties={"edge_weight": torch.tensor(0.03), "alpha_floor": torch.tensor(0.2)},
)


def _parts(config: BaseLossConfig, out: Prediction = OUT) -> LossParts:
    levels = LEVELS if isinstance(config, QuantileLossConfig) else (0.5,)
    return config.build(HORIZONS, WEIGHTS, levels)(out, TARGET, MASK)


FULL = {"rank": RankTerm(weight=0.3), "spread": SpreadTerm(weight=0.2, floor=3.0), "auxiliary_weight": 0.1}
EVERY = [HuberLossConfig(delta=0.7), MSELossConfig(), QuantileLossConfig(), HuberLossConfig(**FULL)]


@pytest.mark.parametrize("config", EVERY, ids=lambda c: f"{c.kind}{'+' if c.rank else ''}")
def test_the_total_is_the_sum_of_the_parts_that_are_not_per_horizon(config: BaseLossConfig) -> None:
    parts = _parts(config)
    summed = sum(value for name, value in parts.items() if name != "total" and "/" not in name)
    torch.testing.assert_close(parts["total"], summed)
    assert next(iter(parts)) == "total"


def test_every_part_is_what_its_name_says_times_its_weight() -> None:
    parts = _parts(HuberLossConfig(delta=0.7, **FULL))
    huber = huber_by_horizon(OUT.score_BNK, TARGET, MASK, 0.7)
    torch.testing.assert_close(parts["huber"], weighted(huber, WEIGHTS))
    torch.testing.assert_close(torch.stack([parts[f"huber/{h}"] for h in HORIZONS]), huber)
    rank = weighted(rank_loss_by_horizon(OUT.score_BNK, TARGET, MASK, 0.1), WEIGHTS)
    torch.testing.assert_close(parts["rank"], 0.3 * rank)
    short = weighted(variance_floor_by_horizon(OUT.score_BNK, TARGET, MASK, 3.0), WEIGHTS)
    torch.testing.assert_close(parts["spread"], 0.2 * short)
    assert parts["auxiliary"] == pytest.approx(0.1 * 2.0)
    assert (parts["edge_weight"], parts["alpha_floor"]) == (torch.tensor(0.03), torch.tensor(0.2))


def test_the_kinds_are_their_functions() -> None:
    mse, quantile = _parts(MSELossConfig())["mse"], _parts(QuantileLossConfig())["quantile"]
    torch.testing.assert_close(mse, weighted(mse_by_horizon(OUT.score_BNK, TARGET, MASK), WEIGHTS))
    expected = weighted(quantile_by_horizon(OUT.level_BNKQ, TARGET, MASK, LEVELS), WEIGHTS)
    torch.testing.assert_close(quantile, expected)


def test_what_is_off_is_not_there() -> None:
    plain = OUT._replace(penalties={})
    assert _parts(HuberLossConfig(auxiliary_weight=0.0), plain).keys() == {
        "total",
        "huber",
        *(f"huber/{h}" for h in HORIZONS),
    }


def test_a_quantile_head_needs_the_quantile_loss_and_the_other_way_round() -> None:
    with pytest.raises(ValueError, match="a quantile head must learn by the quantile loss, but loss is 'huber'"):
        HuberLossConfig().build(HORIZONS, WEIGHTS, LEVELS)
    with pytest.raises(ValueError, match="a quantile loss must have a quantile head, but the head predicts a point"):
        QuantileLossConfig().build(HORIZONS, WEIGHTS, (0.5,))


@pytest.mark.parametrize(
    "content",
    [
        {"kind": "huber", "delta": 0},
        {"kind": "mse", "delta": 1},
        {"kind": "huber", "rank": {"weight": 0}},
        {"kind": "huber", "spread": {"floor": 0}},
        {"kind": "l1"},
        {"kind": "mse", "auxiliary_weight": -1},
    ],
    ids=str,
)
def test_a_setting_out_of_range_or_unknown_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(LossConfig).validate_python(content)
