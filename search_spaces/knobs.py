"""Knobs that several spaces have."""

from __future__ import annotations

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces.knob import Knob

HIDDEN = Knob("hidden", ("model.hidden",), CategoricalDistribution((16, 32, 64)))
HEADS = Knob("gat_heads", ("model.graph.heads",), CategoricalDistribution((2, 4, 8)))
TEMPERATURE = Knob("gat_temperature", ("model.graph.temperature",), FloatDistribution(0.5, 2.0, log=True))
FREQ_DROPOUT = Knob("freq_dropout_p", ("model.augment.probability",), FloatDistribution(0.05, 0.3))
FAN_TOP_K = Knob("fan_top_k", ("model.norm.top_k", "model.norm.fan.top_k"), IntDistribution(1, 5))
HUBER_DELTA = Knob("huber_delta", ("train.loss.delta",), FloatDistribution(0.1, 3.0, log=True))
LEARNING_RATE = Knob("learning_rate", ("train.learning_rate",), FloatDistribution(2e-4, 1e-2, log=True))
AUXILIARY_WEIGHT = Knob("auxiliary_weight", ("train.loss.auxiliary_weight",), FloatDistribution(0.01, 1.0, log=True))
DROPOUT = Knob("dropout", ("model.temporal.dropout",), FloatDistribution(0.1, 0.4))
