"""gat_ablation: does the graph attention earn its place, and do FAN, SAN, FreqDropout and the small head?"""

from __future__ import annotations

from optuna.trial import Trial

from model.augment.freq_dropout import FreqDropoutConfig
from model.augment.identity import IdentityAugmentConfig
from model.config import FusionConfig, GraphConfig, NormConfig
from model.fusion.gated import GatedFusionConfig
from model.fusion.identity import IdentityFusionConfig
from model.graph.gatv2 import GATv2Config
from model.graph.identity import NoGraphBlockConfig
from model.norm.fan import FANConfig
from model.norm.fan_san import FANSANConfig
from model.norm.identity import IdentityNormConfig
from model.norm.san import SANConfig
from search_spaces.config import TrialConfig
from search_spaces.space import SWITCH, Arm, SearchSpace


def sample(trial: Trial, base: TrialConfig) -> TrialConfig:
    """Draws one point; parameters of a block exist only where the block is on."""
    hidden = trial.suggest_categorical("hidden", (16, 32, 64))
    graph, fusion = _graph(trial)
    norm = _norm(trial.suggest_categorical("fan", SWITCH), trial.suggest_categorical("san", SWITCH))
    return base.replace(
        **{
            "model.hidden": hidden,
            "model.graph": graph,
            "model.fusion": fusion,
            "model.norm": norm,
            "model.augment": _augment(trial),
            "model.head.small_init": trial.suggest_categorical("small_init", SWITCH),
            "train.loss.delta": trial.suggest_float("huber_delta", 0.1, 3.0, log=True),
            "train.learning_rate": trial.suggest_float("learning_rate", 2e-4, 4e-3, log=True),
        }
    )


def _graph(trial: Trial) -> tuple[GraphConfig, FusionConfig]:
    if not trial.suggest_categorical("gat", SWITCH):
        return NoGraphBlockConfig(), IdentityFusionConfig()
    heads = trial.suggest_categorical("gat_heads", (2, 4, 8))
    temperature = trial.suggest_float("gat_temperature", 0.5, 2.0, log=True)
    return GATv2Config(heads=heads, temperature=temperature), GatedFusionConfig()


def _norm(fan: bool, san: bool) -> NormConfig:
    blocks: dict[tuple[bool, bool], NormConfig] = {
        (True, True): FANSANConfig(),
        (True, False): FANConfig(),
        (False, True): SANConfig(),
        (False, False): IdentityNormConfig(),
    }
    return blocks[fan, san]


def _augment(trial: Trial) -> FreqDropoutConfig | IdentityAugmentConfig:
    if not trial.suggest_categorical("freq_dropout", SWITCH):
        return IdentityAugmentConfig()
    return FreqDropoutConfig(probability=trial.suggest_float("freq_dropout_p", 0.05, 0.3))


SPACE = SearchSpace(
    name="gat_ablation",
    summary="GAT on/off, heads, temperature, hidden size, FreqDropout, Huber delta; arms: GAT, FAN, SAN, FreqDropout, "
    "small-init head",
    reference=TrialConfig(),
    sample=sample,
    arms={
        "no_gat": Arm(
            "GAT off: no neighbours",
            {"model.graph": NoGraphBlockConfig(), "model.fusion": IdentityFusionConfig()},
        ),
        "no_fan": Arm("FAN off: slice statistics alone", {"model.norm": SANConfig()}),
        "no_san": Arm("SAN off: frequencies alone", {"model.norm": FANConfig()}),
        "no_freq_dropout": Arm("FreqDropout off", {"model.augment": IdentityAugmentConfig()}),
        "no_small_init": Arm("small initialisation off", {"model.head.small_init": False}),
    },
    first_points=(
        {
            "hidden": 32,
            "gat": True,
            "gat_heads": 4,
            "gat_temperature": 1.0,
            "fan": True,
            "san": True,
            "freq_dropout": True,
            "freq_dropout_p": 0.1,
            "small_init": True,
            "huber_delta": 1.0,
            "learning_rate": 1e-3,
        },
    ),
)
