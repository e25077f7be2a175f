"""gnn_zoo: which graph network, how deep, how wide. Hidden sizes of 128 to 512: for a GPU."""

from __future__ import annotations

from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

from model.config import GraphConfig
from model.fusion.identity import IdentityFusionConfig
from model.graph.identity import NoGraphBlockConfig
from model.graph.kinds import GATConfig, GATv2Config, GINConfig, SAGEConfig, TransformerGraphConfig
from model.graph.self_only import SelfOnlyConfig
from search_spaces.config import TrialConfig
from search_spaces.knob import Knob
from search_spaces.space import Arm, Budget, SearchSpace

ATTENDING: dict[str, Any] = {"gatv2": GATv2Config, "gat": GATConfig, "transformer": TransformerGraphConfig}
AVERAGING: dict[str, Any] = {"sage": SAGEConfig, "gin": GINConfig}
DROPOUT = 0.2
WIDE = Knob("hidden", ("model.hidden",), CategoricalDistribution((128, 256, 512)))
LAYERS = Knob("layers", ("model.graph.layers",), IntDistribution(1, 3))
GRAPH_DROPOUT = Knob("dropout", ("model.graph.dropout",), CategoricalDistribution((0.1, 0.2, 0.3)))
ZOO_HEADS = Knob("heads", ("model.graph.heads",), CategoricalDistribution((2, 4, 8)))
LOW_RATE = Knob("learning_rate", ("train.learning_rate",), FloatDistribution(1e-4, 2e-3, log=True))


def sample(trial: Trial, base: TrialConfig) -> TrialConfig:
    """Draws one point; heads exist only where the operator attends."""
    return base.replace(
        **{
            "model.hidden": WIDE.suggest(trial),
            "model.graph": _graph(trial),
            "train.learning_rate": LOW_RATE.suggest(trial),
        }
    )


def _graph(trial: Trial) -> GraphConfig:
    kind = trial.suggest_categorical("operator", (*ATTENDING, *AVERAGING))
    settings = {
        "layers": LAYERS.suggest(trial),
        "dropout": GRAPH_DROPOUT.suggest(trial),
    }
    config: GraphConfig
    if kind in ATTENDING:
        config = ATTENDING[kind](heads=ZOO_HEADS.suggest(trial), **settings)
    else:
        config = AVERAGING[kind](**settings)
    return config


SPACE = SearchSpace(
    name="gnn_zoo",
    summary="GATv2, GAT, transformer, SAGE, GIN x layers x heads x hidden 128-512 x dropout; arms: the others, no "
    "graph, self only",
    reference=TrialConfig().replace(**{"model.hidden": 128, "train.learning_rate": 5e-4}),
    sample=sample,
    arms={
        "gat": Arm("GAT: static attention", {"model.graph": GATConfig(dropout=DROPOUT)}),
        "transformer": Arm("graph transformer", {"model.graph": TransformerGraphConfig(dropout=DROPOUT)}),
        "sage": Arm("GraphSAGE: the neighbours' mean", {"model.graph": SAGEConfig(dropout=DROPOUT)}),
        "gin": Arm("GIN: the neighbours' sum", {"model.graph": GINConfig(dropout=DROPOUT)}),
        "self_only": Arm(
            "placebo: the block without neighbours", {"model.graph": SelfOnlyConfig(dropout=DROPOUT)}, is_placebo=True
        ),
        "no_graph": Arm(
            "no graph block", {"model.graph": NoGraphBlockConfig(), "model.fusion": IdentityFusionConfig()}
        ),
    },
    first_points=(
        {"hidden": 128, "operator": "gatv2", "layers": 1, "dropout": DROPOUT, "heads": 4, "learning_rate": 5e-4},
    ),
    budget=Budget(trials=40),
    knobs=(WIDE, LAYERS, GRAPH_DROPOUT, ZOO_HEADS, LOW_RATE),
)
