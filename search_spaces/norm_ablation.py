"""norm_ablation: does adaptive normalisation earn its place, by frequency (FAN), by slice (SAN), or as plain RevIN?"""

from __future__ import annotations

from typing import Any

from optuna.trial import Trial

from model.config import NormConfig
from model.norm.fan import FANConfig
from model.norm.fan_san import FANSANConfig
from model.norm.identity import IdentityNormConfig
from model.norm.revin import RevINConfig
from model.norm.san import SANConfig
from search_spaces.config import TrialConfig
from search_spaces.knobs import AUXILIARY_WEIGHT, FAN_TOP_K, HIDDEN, LEARNING_RATE
from search_spaces.space import Arm, SearchSpace

KINDS = ("fan_san", "fan", "san", "revin", "identity")
SLICES = (2, 3, 4, 5, 6, 10)  # days, those that divide the window


def sample(trial: Trial, base: TrialConfig) -> TrialConfig:
    """Draws one point; a normaliser's parameters exist only where it is chosen."""
    norm = _norm(trial, base.data.window)
    changes: dict[str, Any] = {
        "model.norm": norm,
        "model.hidden": HIDDEN.suggest(trial),
        "train.learning_rate": LEARNING_RATE.suggest(trial),
    }
    if norm.predicts:
        changes["train.loss.auxiliary_weight"] = AUXILIARY_WEIGHT.suggest(trial)
    return base.replace(**changes)


def _norm(trial: Trial, window: int) -> NormConfig:
    kind = trial.suggest_categorical("norm", KINDS)
    if kind == "identity":
        return IdentityNormConfig()
    if kind == "revin":
        return RevINConfig()
    fan = FANConfig(top_k=FAN_TOP_K.suggest(trial)) if "fan" in kind else None
    san = SANConfig(slice_length=trial.suggest_categorical("san_slice", _slices(window))) if "san" in kind else None
    if fan is not None and san is not None:
        return FANSANConfig(fan=fan, san=san)
    chosen = fan or san
    assert chosen is not None, "the kind names one of them"
    return chosen


def _slices(window: int) -> tuple[int, ...]:
    return tuple(days for days in SLICES if window % days == 0 and window >= 2 * days)


SPACE = SearchSpace(
    name="norm_ablation",
    summary="FAN, SAN, both, RevIN or none, frequencies, slices, auxiliary loss, hidden size; arms: each of the others",
    reference=TrialConfig(),
    sample=sample,
    arms={
        "no_norm": Arm("no normalisation", {"model.norm": IdentityNormConfig()}),
        "no_fan": Arm("FAN off: slice statistics alone", {"model.norm": SANConfig()}),
        "no_san": Arm("SAN off: frequencies alone", {"model.norm": FANConfig()}),
        "revin": Arm("placebo: one mean and deviation per window", {"model.norm": RevINConfig()}, is_placebo=True),
    },
    knobs=(HIDDEN, FAN_TOP_K, AUXILIARY_WEIGHT, LEARNING_RATE),
    first_points=(
        {
            "norm": "fan_san",
            "fan_top_k": 3,
            "san_slice": 5,
            "hidden": 32,
            "learning_rate": 1e-3,
            "auxiliary_weight": 0.05,
        },
    ),
)
