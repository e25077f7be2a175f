"""The eight switches of the predecessor's `improvements` section, as settings of this one.

All are off by default here, though `TrialConfig()` itself has most of them on. Off means that the part is not there: it
is the plain model, bit for bit. What changes a result becomes part of the configuration; what belongs to the machine
becomes one of its settings (ATFT_*).

| switch | on |
|---|---|
| output_head_small_init | head: truncated normal 0.01, no bias, LayerScale |
| gat_temperature | divides the attention logits of the graph block |
| freq_dropout_p | FreqDropout with that probability |
| use_ema | averaged weights are evaluated, decay 0.999 with warm-up |
| huber_loss | Huber 0.01 with short horizons first, in the place of the squared error of all alike |
| online_normalization | the scaler reads the days once, by a quantile sketch |
| enable_wandb | machine: ATFT_WANDB |
| auto_recover_oom | machine: ATFT_RECOVER_OOM |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from optuna.trial import Trial
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data.rules import broken_rules, load_yaml
from model.augment.freq_dropout import FreqDropoutConfig
from model.augment.identity import IdentityAugmentConfig
from model.losses.config import BaseLossConfig, HuberLossConfig, MSELossConfig
from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from search_spaces.knobs import DROPOUT, HIDDEN
from search_spaces.space import SWITCH, Arm, Budget, SearchSpace
from search_spaces.train import weights_for

LAYER_SCALE, EMA_DECAY, HUBER_DELTA = 0.1, 0.999, 0.01  # of the predecessor, where it was on
WARMUP_STEPS, RATE_FACTOR = 2000, 0.8  # its advice where Huber or the small head slows the start


class Improvements(BaseModel):
    """The switches, under their old names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    output_head_small_init: bool = False
    gat_temperature: float = Field(1.0, gt=0, strict=True)
    freq_dropout_p: float = Field(0.0, ge=0, le=1, strict=True)
    use_ema: bool = False
    huber_loss: bool = False
    online_normalization: bool = False
    enable_wandb: bool = False
    auto_recover_oom: bool = False

    @classmethod
    def from_yaml(cls, text: str) -> Improvements:
        """Of an old configuration file, or of its `improvements` section alone.

        Raises:
            SpaceError: no YAML, an unknown switch, or a value that breaks a rule.
        """
        try:
            content = load_yaml(text)
            section = content.get("improvements", content) if isinstance(content, dict) else content
            return cls.model_validate({} if section is None else section)
        except ValidationError as error:
            wrong = broken_rules(error, cls, "improvements")
            raise SpaceError(
                f"the improvements must be the eight known switches ({', '.join(cls.model_fields)}), but {wrong}."
            ) from error
        except (yaml.YAMLError, ValueError) as error:
            raise SpaceError(f"the improvements must be the eight known switches, in YAML: {error}") from error

    def configure(self, base: TrialConfig) -> TrialConfig:
        """`base` with every switch where it stands here, on or off.

        Raises:
            SpaceError: a temperature for a graph block that has none.
        """
        changes: dict[str, Any] = {
            "model.augment": FreqDropoutConfig(probability=self.freq_dropout_p)
            if self.freq_dropout_p
            else IdentityAugmentConfig(),
            "train.ema_decay": EMA_DECAY if self.use_ema else 0.0,
            "train.loss": self._loss(base.train.loss),
            "train.horizon_weights": self._weights(len(base.data.horizons)),
            "data.scaler": "streaming" if self.online_normalization else "exact",
        }
        if hasattr(base.model.head, "small_init"):
            changes["model.head.small_init"] = self.output_head_small_init
            changes["model.head.layer_scale"] = LAYER_SCALE if self.output_head_small_init else None
        if hasattr(base.model.graph, "temperature") or self.gat_temperature != 1.0:
            changes["model.graph.temperature"] = self.gat_temperature
        return base.replace(**changes)

    @property
    def machine(self) -> dict[str, str]:
        """Environment of the machine settings that are switched on."""
        switches = {"ATFT_WANDB": self.enable_wandb, "ATFT_RECOVER_OOM": self.auto_recover_oom}
        return {name: "1" for name, is_on in switches.items() if is_on}

    def _loss(self, base: BaseLossConfig) -> BaseLossConfig:
        """Of the kind asked for, with the terms that the base has beside it."""
        beside = {name: getattr(base, name) for name in ("rank", "spread", "auxiliary_weight")}
        return HuberLossConfig(delta=HUBER_DELTA, **beside) if self.huber_loss else MSELossConfig(**beside)

    def _weights(self, num_horizons: int) -> tuple[float, ...]:
        return weights_for(num_horizons, ()) if self.huber_loss else (1.0,) * num_horizons


def advised(config: TrialConfig, switches: Improvements) -> TrialConfig:
    """With the longer warm-up and the lower rate where the predecessor's authors advise them."""
    if not (switches.huber_loss or switches.output_head_small_init):
        return config
    rate = config.train.learning_rate * RATE_FACTOR
    return config.replace(**{"train.schedule.warmup_steps": WARMUP_STEPS, "train.learning_rate": rate})


def sample(trial: Trial, base: TrialConfig) -> TrialConfig:
    """Draws the switches that change a result; those of the machine are settings of it."""
    switches = Improvements(
        output_head_small_init=trial.suggest_categorical("output_head_small_init", SWITCH),
        gat_temperature=trial.suggest_categorical("gat_temperature", (0.5, 1.0, 2.0)),
        freq_dropout_p=trial.suggest_categorical("freq_dropout_p", (0.0, 0.05, 0.1, 0.2)),
        use_ema=trial.suggest_categorical("use_ema", SWITCH),
        huber_loss=trial.suggest_categorical("huber_loss", SWITCH),
        online_normalization=trial.suggest_categorical("online_normalization", SWITCH),
    )
    return advised(switches.configure(base), switches)


def turned_on(**switches: Any) -> Mapping[str, Any]:
    """Changes of the reference, in which all switches are off."""
    chosen = Improvements.model_validate(switches)
    changes = _leaves(OFF.model_dump(), advised(chosen.configure(OFF), chosen).model_dump())
    changes.pop("train.horizon_weights", None)  # as many as the market has horizons: the base's own
    return changes


def _leaves(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted key -> new value of what differs; a block of another kind is one value."""
    changes: dict[str, Any] = {}
    for key, value in after.items():
        old = before[key]
        if isinstance(value, dict) and isinstance(old, dict) and value.keys() == old.keys():
            changes |= _leaves(old, value, f"{prefix}{key}.")
        elif value != old:
            changes[f"{prefix}{key}"] = value
    return changes


OFF = Improvements().configure(TrialConfig())
SPACE = SearchSpace(
    name="improvements",
    summary="the predecessor's switches: small head, GAT temperature, FreqDropout, EMA, Huber, streaming scaler; arms: "
    "each alone",
    reference=OFF,
    sample=sample,
    arms={
        "small_head": Arm("small-init head, longer warm-up, rate x 0.8", turned_on(output_head_small_init=True)),
        "soft_attention": Arm("attention logits divided by 2", turned_on(gat_temperature=2.0)),
        "freq_dropout": Arm("FreqDropout 0.1", turned_on(freq_dropout_p=0.1)),
        "ema": Arm("averaged weights are evaluated", turned_on(use_ema=True)),
        "huber": Arm("Huber 0.01, longer warm-up, rate x 0.8", turned_on(huber_loss=True)),
        "streaming_scaler": Arm("the scaler reads the days once", turned_on(online_normalization=True)),
    },
    first_points=(
        {
            "output_head_small_init": False,
            "gat_temperature": 1.0,
            "freq_dropout_p": 0.0,
            "use_ema": False,
            "huber_loss": False,
            "online_normalization": False,
        },
    ),
    budget=Budget(trials=24),
    knobs=(HIDDEN, DROPOUT),  # the rate is part of two switches
)
