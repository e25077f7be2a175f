"""TrainConfig: settings that no training could follow are refused where they are written."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from search_spaces.train import TrainConfig

ACCEPTED: list[dict[str, Any]] = [
    {},
    {"days_per_step": 12, "block_days": 3},
    {"days_per_step": 4, "block_days": 4},
    {"horizon_weights": (0.0, 1.0)},
    {"horizon_weights": (1,)},
    {"warmup_share": 0.0, "ema_decay": 0.0, "weight_decay": 0.0},
]

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"days_per_step": 16, "block_days": 3}, "block_days must divide days_per_step, got 3 and 16"),
    ({"days_per_step": 2, "block_days": 4}, "block_days must divide days_per_step, got 4 and 2"),
    ({"horizon_weights": (1.0, -0.1)}, "horizon_weights must be >= 0"),
    ({"horizon_weights": (0.0, 0.0)}, "not all 0"),
    ({"horizon_weights": ()}, "horizon_weights"),
    ({"horizon_weights": (1.0, float("nan"))}, "horizon_weights"),
    ({"horizon_weights": (1.0, float("inf"))}, "horizon_weights"),
    ({"epochs": 0}, "epochs"),
    ({"epochs": 2.5}, "epochs"),
    ({"days_per_epoch": 0}, "days_per_epoch"),
    ({"learning_rate": 0.0}, "learning_rate"),
    ({"learning_rate": float("inf")}, "learning_rate"),
    ({"weight_decay": -0.1}, "weight_decay"),
    ({"warmup_share": 1.0}, "warmup_share"),
    ({"loss": {"kind": "huber", "delta": 0.0}}, "delta"),
    ({"loss": {"kind": "mse", "delta": 1.0}}, "delta"),
    ({"loss": {"kind": "huber", "auxiliary_weight": -1.0}}, "auxiliary_weight"),
    ({"loss": {"kind": "huber", "rank": {"weight": 0.0}}}, "rank.weight"),
    ({"groups": {"gate": {"learning_rate": 0.5}}}, "groups"),
    ({"groups": {"graph": {"learning_rate": -0.5}}}, "learning_rate"),
    ({"clip_norm": 0.0}, "clip_norm"),
    ({"ema_decay": 1.0}, "ema_decay"),
    ({"max_bad_steps": 0}, "max_bad_steps"),
    ({"learning_rat": 0.1}, "learning_rat"),
]


@pytest.mark.parametrize("settings", ACCEPTED)
def test_what_can_be_trained_is_accepted(settings: dict[str, Any]) -> None:
    config = TrainConfig(**settings)
    assert {name: getattr(config, name) for name in settings} == settings


@pytest.mark.parametrize(("settings", "complaint"), REFUSED)
def test_what_cannot_be_trained_is_refused_naming_it(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        TrainConfig(**settings)
