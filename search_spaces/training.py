"""training: how to train, not what: rate, schedule, averaging, warm-up, weight decay, weights of the horizons."""

from __future__ import annotations

from typing import Any

from optuna.trial import Trial

from search_spaces.config import TrialConfig
from search_spaces.knobs import DROPOUT, HIDDEN, LEARNING_RATE
from search_spaces.schedules import ConstantConfig, CosineConfig, OneCycleConfig, RestartsConfig, ScheduleUnion
from search_spaces.space import Arm, SearchSpace
from search_spaces.train import weights_for

SCHEDULES: dict[str, Any] = {
    "cosine": CosineConfig,
    "cosine_restarts": RestartsConfig,
    "one_cycle": OneCycleConfig,
    "constant": ConstantConfig,
}
WEIGHTS = ("short_first", "equal", "long_first")


def sample(trial: Trial, base: TrialConfig) -> TrialConfig:
    """Draws one point."""
    weights = trial.suggest_categorical("horizon_weights", WEIGHTS)
    return base.replace(
        **{
            "train.learning_rate": LEARNING_RATE.suggest(trial),
            "train.schedule": _schedule(trial),
            "train.ema_decay": trial.suggest_float("ema_decay", 0.95, 0.999),
            "train.weight_decay": trial.suggest_float("weight_decay", 1e-3, 0.3, log=True),
            "train.horizon_weights": _weights(weights, len(base.data.horizons)),
        }
    )


def _schedule(trial: Trial) -> ScheduleUnion:
    kind = trial.suggest_categorical("schedule", tuple(SCHEDULES))
    schedule: ScheduleUnion = SCHEDULES[kind](warmup_share=trial.suggest_float("warmup_share", 0.05, 0.4))
    return schedule


def _weights(name: str, num_horizons: int) -> tuple[float, ...]:
    usual = weights_for(num_horizons, ())
    return {"short_first": usual, "equal": (1.0,) * num_horizons, "long_first": usual[::-1]}[name]


SPACE = SearchSpace(
    name="training",
    summary="learning rate, schedule, warm-up, EMA, weight decay, horizon weights; arms: no EMA, no warm-up, no decay, "
    "constant rate",
    reference=TrialConfig(),
    sample=sample,
    arms={
        "no_ema": Arm("the last weights are evaluated", {"train.ema_decay": 0.0}),
        "no_warmup": Arm("full rate from the first step", {"train.schedule": CosineConfig(warmup_share=0.0)}),
        "no_weight_decay": Arm("no weight decay", {"train.weight_decay": 0.0}),
        "constant_rate": Arm("the rate does not fall", {"train.schedule": ConstantConfig()}),
    },
    first_points=(
        {
            "horizon_weights": "short_first",
            "learning_rate": 1e-3,
            "schedule": "cosine",
            "warmup_share": 0.1,
            "ema_decay": 0.99,
            "weight_decay": 0.01,
        },
    ),
    knobs=(HIDDEN, DROPOUT, LEARNING_RATE),
)
