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
    {"ema_decay": 0.0, "weight_decay": 0.0},
    {"schedule": {"kind": "constant", "warmup_share": 0.0}},
    {"schedule": {"kind": "plateau"}, "validation_days": 20},
    {"early_stopping": {"patience": 3}, "validation_days": 20, "precision": "bf16"},
    {
        "epochs": 3,
        "phases": [
            {"name": "a", "epochs": 1, "learning_rate": 1e-3},
            {"name": "b", "epochs": 2, "learning_rate": 1e-4},
        ],
    },
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
    ({"schedule": {"kind": "cosine", "warmup_share": 1.0}}, "warmup_share"),
    ({"schedule": {"kind": "steps"}}, "schedule"),
    ({"schedule": {"kind": "plateau"}}, "schedule 'plateau' must have at least 10 validation_days to watch, got 0"),
    ({"early_stopping": {"patience": 3}, "validation_days": 5}, "early_stopping must have at least 10"),
    ({"validation_days": 20}, "neither is set and validation_days is 20"),
    ({"early_stopping": {"patience": 0}, "validation_days": 20}, "patience"),
    ({"phases": [{"name": "a", "epochs": 2, "learning_rate": 1e-3}]}, "sum of the phases' epochs, 2, got 6"),
    (
        {"epochs": 2, "phases": 2 * [{"name": "a", "epochs": 1, "learning_rate": 1e-3}]},
        "phases must have different names, got a, a",
    ),
    ({"epochs": 1, "phases": [{"name": "A b", "epochs": 1, "learning_rate": 1e-3}]}, "name"),
    ({"epochs": 1, "phases": [{"name": "a", "epochs": 1, "learning_rate": 1e-3, "learns": []}]}, "learns"),
    ({"precision": "fp8"}, "precision"),
    ({"health": {"dead_block": "explode"}}, "dead_block"),
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
    assert TrainConfig.model_validate(config.model_dump()) == config
    for name, value in settings.items():
        if not isinstance(value, dict | list):
            assert getattr(config, name) == value


@pytest.mark.parametrize(("settings", "complaint"), REFUSED)
def test_what_cannot_be_trained_is_refused_naming_it(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        TrainConfig(**settings)
