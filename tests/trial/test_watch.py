"""Early stopping and plateau: what they hear, when they act, and that a checkpoint keeps it."""

from __future__ import annotations

import json

import pytest
import torch

from search_spaces.schedules import PlateauConfig
from search_spaces.train import EarlyStoppingConfig, TrainConfig
from trial.watch import EarlyStopping, Plateau, Watches, make_watches


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"w": torch.tensor([value])}


def test_early_stopping_waits_its_patience_and_keeps_the_best_weights() -> None:
    watch = EarlyStopping(EarlyStoppingConfig(patience=2, min_delta=0.01))
    heard = []
    for epoch, value in enumerate([0.10, 0.20, 0.205, 0.15]):
        watch.hear(value, weights(epoch))
        heard.append(watch.stops)
    assert heard == [False, False, False, True], "0.205 is no rise of 0.01"
    assert watch.best_weights is not None
    assert watch.best_weights["w"].item() == 1


def test_the_best_weights_are_a_copy() -> None:
    watch, own = EarlyStopping(EarlyStoppingConfig(patience=1)), weights(3.0)
    watch.hear(0.1, own)
    own["w"].fill_(9.0)
    assert watch.best_weights is not None
    assert watch.best_weights["w"].item() == 3.0


def test_plateau_lowers_the_rate_and_waits_again() -> None:
    watch = Plateau(PlateauConfig(patience=2, factor_on_plateau=0.5, min_factor=0.2))
    factors = []
    for value in [0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.1, 0.1, 0.1, 0.1]:
        watch.hear(value, {})
        factors.append(watch.factor)
    assert factors == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2]


@pytest.mark.parametrize(
    "train",
    [
        TrainConfig(validation_days=20, early_stopping=EarlyStoppingConfig(patience=3)),
        TrainConfig(validation_days=20, schedule=PlateauConfig(patience=2)),
    ],
    ids=["early_stopping", "plateau"],
)
def test_what_they_have_heard_survives_a_checkpoint(train: TrainConfig) -> None:
    first, second = make_watches(train), make_watches(train)
    for value in (0.1, 0.05, 0.05):
        first.hear(value, weights(1.0))
    for name, watch in second.members.items():
        watch.load_state_dict(json.loads(json.dumps(first.members[name].state_dict())))
    for value in (0.05, 0.05, 0.05, 0.05):
        first.hear(value, weights(1.0))
        second.hear(value, weights(1.0))
        assert (first.factor, first.stops) == (second.factor, second.stops)
    assert first.stops or first.factor < 1


def test_nobody_watches_by_default() -> None:
    watches = make_watches(TrainConfig())
    assert watches == Watches()
    watches.hear(0.1, {})
    assert (watches.factor, watches.stops, watches.best_weights) == (1.0, False, None)
