"""gat_ablation: does the graph attention earn its place, and do FAN, SAN, FreqDropout and the small head?"""

from __future__ import annotations

from optuna.trial import Trial

from model.augment.freq_dropout import FreqDropoutConfig
from model.augment.identity import IdentityAugmentConfig
from model.config import FusionConfig, GraphConfig, NormConfig
from model.fusion.gated import GatedFusionConfig
from model.fusion.identity import IdentityFusionConfig
from model.graph.identity import NoGraphBlockConfig
from model.graph.kinds import GATv2Config
from model.graph.self_only import SelfOnlyConfig
from model.norm.fan import FANConfig
from model.norm.fan_san import FANSANConfig
from model.norm.identity import IdentityNormConfig
from model.norm.revin import RevINConfig
from model.norm.san import SANConfig
from search_spaces.config import TrialConfig
from search_spaces.knobs import FREQ_DROPOUT, HEADS, HIDDEN, HUBER_DELTA, LEARNING_RATE, TEMPERATURE
from search_spaces.space import SWITCH, Arm, SearchSpace


def sample(trial: Trial, base: TrialConfig) -> TrialConfig:
    """Draws one point; parameters of a block exist only where the block is on."""
    hidden = HIDDEN.suggest(trial)
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
            "train.loss.delta": HUBER_DELTA.suggest(trial),
            "train.learning_rate": LEARNING_RATE.suggest(trial),
        }
    )


def _graph(trial: Trial) -> tuple[GraphConfig, FusionConfig]:
    if not trial.suggest_categorical("gat", SWITCH):
        return NoGraphBlockConfig(), IdentityFusionConfig()
    return GATv2Config(heads=HEADS.suggest(trial), temperature=TEMPERATURE.suggest(trial)), GatedFusionConfig()


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
    return FreqDropoutConfig(probability=FREQ_DROPOUT.suggest(trial))


SPACE = SearchSpace(
    name="gat_ablation",
    summary="GAT on/off, heads, temperature, hidden size, FreqDropout, Huber delta; arms: GAT, FAN, SAN, FreqDropout, "
    "small-init head, and three placebos",
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
        "shuffled_graph": Arm(
            "placebo: neighbours drawn by lot within each date", {"data.graph.shuffled": True}, is_placebo=True
        ),
        "self_only": Arm("placebo: GAT that hears itself alone", {"model.graph": SelfOnlyConfig()}, is_placebo=True),
        "revin": Arm("placebo: one mean and deviation per window", {"model.norm": RevINConfig()}, is_placebo=True),
    },
    knobs=(HIDDEN, HEADS, TEMPERATURE, FREQ_DROPOUT, HUBER_DELTA, LEARNING_RATE),
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
