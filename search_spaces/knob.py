"""Knob: one hyper-parameter with its range, drawn by the search, or set alike for every arm that has it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

from search_spaces.config import TrialConfig

Range = FloatDistribution | IntDistribution | CategoricalDistribution


@dataclass(frozen=True)
class Knob:
    """A setting that may be turned without turning a switch of the ablation."""

    name: str  # of the parameter, as studies show it
    keys: tuple[str, ...]  # of the setting, dotted; several where blocks of different kinds have it in other places
    range: Range

    def suggest(self, trial: Trial) -> Any:
        """Draws it as the trial's sampler wants."""
        return suggest(trial, self.name, self.range)

    def at(self, share: float) -> Any:
        """The value so far up its range, 0 <= share < 1: of shares drawn evenly, an even (or log-even) draw."""
        if isinstance(self.range, CategoricalDistribution):
            return self.range.choices[int(share * len(self.range.choices))]
        low, step = self.range.low, self.range.step or 0.0
        high = self.range.high + (step if isinstance(self.range, IntDistribution) else 0)
        if self.range.log:
            value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        else:
            value = low + share * (high - low)
        return value if isinstance(self.range, FloatDistribution) else low + step * int((value - low) / step)

    def keys_in(self, config: TrialConfig) -> list[str]:
        """Those that the configuration has: a block that is off has no settings."""
        return [key for key in self.keys if _is_in(config, key)]


def suggest(trial: Trial, name: str, values: Range) -> Any:
    """`Trial.suggest_*` of the range's kind."""
    match values:
        case CategoricalDistribution():
            return trial.suggest_categorical(name, values.choices)
        case IntDistribution():
            return trial.suggest_int(name, values.low, values.high, step=values.step, log=values.log)
        case FloatDistribution():
            return trial.suggest_float(name, values.low, values.high, step=values.step, log=values.log)


def turned(config: TrialConfig, knobs: Sequence[Knob], point: Mapping[str, Any]) -> TrialConfig:
    """With the values of a point, by knob's name, where the configuration has the setting.

    Raises:
        SpaceError: a value breaks a rule.
    """
    return config.replace(**{key: point[knob.name] for knob in knobs for key in knob.keys_in(config)})


def points_at(knobs: Sequence[Knob], shares: Sequence[Sequence[float]]) -> list[dict[str, Any]]:
    """One point per row of shares, which has one share per knob."""
    return [{knob.name: knob.at(share) for knob, share in zip(knobs, row, strict=True)} for row in shares]


def _is_in(config: TrialConfig, key: str) -> bool:
    section: Any = config
    for name in key.split("."):
        if name not in getattr(type(section), "model_fields", ()):
            return False
        section = getattr(section, name)
    return True
