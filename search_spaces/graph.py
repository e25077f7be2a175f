"""graph: who hears whom. Source of the edges, neighbours, threshold, half-life, shrinkage."""

from __future__ import annotations

from typing import Any

from optuna.trial import Trial

from data.config import CorrelationGraphConfig, DataConfig, SectorGraphConfig
from model.graph.edges import GivenEdgesConfig, KNNEdgesConfig
from search_spaces.config import TrialConfig
from search_spaces.knobs import HEADS, HIDDEN, LEARNING_RATE, TEMPERATURE
from search_spaces.space import Arm, Budget, SearchSpace

SOURCES = ("correlation", "sector", "knn")
METHODS = ("pearson", "exponential", "rank")
NEIGHBOURS = (4, 30)
DECAYS = (0.0, 0.5, 0.7, 0.85)


def sample(trial: Trial, base: TrialConfig) -> TrialConfig:
    """Draws one point; a source's parameters exist only where it is chosen."""
    source = trial.suggest_categorical("source", SOURCES)
    changes: dict[str, Any] = {"model.graph.edges": GivenEdgesConfig()}
    if source == "sector":
        changes["data.graph"] = SectorGraphConfig()
    elif source == "knn":
        changes["model.graph.edges"] = KNNEdgesConfig(k=trial.suggest_int("knn_k", *NEIGHBOURS))
    else:
        changes["data.graph"] = _correlation(trial, base.data)
    changes["train.learning_rate"] = LEARNING_RATE.suggest(trial)
    return base.replace(**changes)


def _correlation(trial: Trial, data: DataConfig) -> CorrelationGraphConfig:
    """Windows stay those of the market's settings."""
    method = trial.suggest_categorical("method", METHODS)
    settings: dict[str, Any] = {
        "method": method,
        "k": trial.suggest_int("k", *NEIGHBOURS),
        "lead_lag_k": trial.suggest_int("lead_lag_k", 0, 16),
        "lead_lag_decay": trial.suggest_categorical("lead_lag_decay", DECAYS),
        "min_correlation": trial.suggest_float("min_correlation", 0.0, 0.5),
        "shrinkage": trial.suggest_float("shrinkage", 0.0, 0.5),
    }
    if method == "exponential":
        settings["half_life"] = trial.suggest_int("half_life", 5, 60)
    own = data.graph if isinstance(data.graph, CorrelationGraphConfig) else CorrelationGraphConfig()
    return CorrelationGraphConfig.model_validate(own.model_dump() | settings)


SPACE = SearchSpace(
    name="graph",
    summary="edges by correlation and lead-lag (method, k, threshold, half-life, shrinkage), sector, or nearest states",
    reference=TrialConfig(),
    sample=sample,
    arms={
        "sector": Arm("neighbours are the sector", {"data.graph": SectorGraphConfig()}),
        "knn": Arm("neighbours are the nearest hidden states", {"model.graph.edges": KNNEdgesConfig()}),
        "no_leaders": Arm("neighbours by correlation alone", {"data.graph.lead_lag_k": 0}),
        "dense": Arm("30 neighbours", {"data.graph.k": 30}),
        "exponential": Arm("recent days weigh more", {"data.graph.method": "exponential"}),
        "shrunk": Arm("correlations are drawn to their mean by 0.3", {"data.graph.shrinkage": 0.3}),
        "shuffled": Arm("placebo: edges permuted within each date", {"data.graph.shuffled": True}, is_placebo=True),
    },
    first_points=(
        {
            "source": "correlation",
            "method": "pearson",
            "k": 6,
            "lead_lag_k": 6,
            "lead_lag_decay": 0.5,
            "min_correlation": 0.0,
            "shrinkage": 0.0,
            "learning_rate": 1e-3,
        },
    ),
    budget=Budget(trials=24),
    knobs=(HIDDEN, HEADS, TEMPERATURE, LEARNING_RATE),
)
