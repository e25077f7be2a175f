"""full: everything at once. For a large budget; the smaller spaces say more about one question."""

from __future__ import annotations

from optuna.trial import Trial

from search_spaces import gat_ablation, graph, training
from search_spaces.config import TrialConfig
from search_spaces.space import Budget, SearchSpace

PARTS = (gat_ablation, graph, training)


def sample(trial: Trial, base: TrialConfig) -> TrialConfig:
    """Draws the blocks, then the edges where there is a graph block, then the training."""
    config = gat_ablation.sample(trial, base)
    if config.model.graph.kind != "identity":
        config = graph.sample(trial, config)
    return training.sample(trial, config)


SPACE = SearchSpace(
    name="full",
    summary="blocks, edges and training together: gat_ablation, graph and training in one",
    reference=TrialConfig(),
    sample=sample,
    arms={
        name: arm
        for part, names in (
            (gat_ablation, ("no_gat", "no_fan", "no_san", "no_freq_dropout")),
            (graph, ("sector", "shuffled")),
            (training, ("no_ema", "constant_rate")),
        )
        for name, arm in part.SPACE.arms.items()
        if name in names
    },
    first_points=({key: value for part in PARTS for key, value in part.SPACE.first_points[0].items()},),
    budget=Budget(trials=60),
    knobs=gat_ablation.SPACE.knobs,
)
