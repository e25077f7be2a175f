"""interactions: which switches need each other? Five of them in sixteen combinations."""

from __future__ import annotations

from model.augment.identity import IdentityAugmentConfig
from model.config import NormConfig
from model.fusion.identity import IdentityFusionConfig
from model.graph.identity import NoGraphBlockConfig
from model.norm.fan import FANConfig
from model.norm.fan_san import FANSANConfig
from model.norm.identity import IdentityNormConfig
from model.norm.san import SANConfig
from search_spaces import gat_ablation
from search_spaces.config import TrialConfig
from search_spaces.factorial import Factor, Factorial
from search_spaces.space import SearchSpace


def _without_graph(config: TrialConfig) -> TrialConfig:
    return config.replace(**{"model.graph": NoGraphBlockConfig(), "model.fusion": IdentityFusionConfig()})


def _without_fan(config: TrialConfig) -> TrialConfig:
    left: NormConfig = SANConfig() if isinstance(config.model.norm, FANSANConfig) else IdentityNormConfig()
    return config.replace(**{"model.norm": left})


def _without_san(config: TrialConfig) -> TrialConfig:
    left: NormConfig = FANConfig() if isinstance(config.model.norm, FANSANConfig) else IdentityNormConfig()
    return config.replace(**{"model.norm": left})


def _without_freq_dropout(config: TrialConfig) -> TrialConfig:
    return config.replace(**{"model.augment": IdentityAugmentConfig()})


def _without_small_init(config: TrialConfig) -> TrialConfig:
    return config.replace(**{"model.head.small_init": False})


DESIGN = Factorial(
    {
        "gat": Factor("neighbours are heard", _without_graph),
        "fan": Factor("frequencies are normalised", _without_fan),
        "san": Factor("slices are normalised", _without_san),
        "freq_dropout": Factor("frequencies are dropped in training", _without_freq_dropout),
        "small_init": Factor("the head begins small", _without_small_init),
    }
)
SPACE = SearchSpace(
    name="interactions",
    summary="gat_ablation's search; GAT, FAN, SAN, FreqDropout and small-init head in 16 of their 32 combinations",
    reference=TrialConfig(),
    sample=gat_ablation.sample,
    arms=DESIGN.runs,
    design=DESIGN,
    knobs=gat_ablation.SPACE.knobs,
    first_points=gat_ablation.SPACE.first_points,
)
