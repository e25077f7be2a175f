"""Phases: each one's rate is in force, its blocks alone learn, the others stand still to the bit."""

from __future__ import annotations

import pytest
import torch

from data.loader import FoldBlocks
from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from search_spaces.phases import ALL_SLOTS, five_phases
from trial.fit import fit
from trial.phase import begin_training, span_at, spans
from trial.state import TrainState, new_state

PLAN = five_phases(learning_rate=1e-2, epochs=(2, 1, 1, 1, 1))


@pytest.fixture
def phased(config: TrialConfig) -> TrialConfig:
    return config.replace(**{"train.phases": [phase.model_dump() for phase in PLAN], "train.epochs": 6})


def test_the_five_phases_are_base_normalisation_graph_fine_tuning_augmentation() -> None:
    names = [phase.name for phase in PLAN]
    assert names == ["base", "adaptive_normalisation", "graph", "fine_tuning", "augmentation"]
    assert set(PLAN[0].learns) == {"selection", "projection", "temporal", "head"}
    assert set(PLAN[1].learns) - set(PLAN[0].learns) == {"norm"}
    assert set(PLAN[2].learns) - set(PLAN[1].learns) == {"graph", "fusion"}
    assert set(ALL_SLOTS) - set(PLAN[3].learns) == {"augment"}
    assert PLAN[4].learns == ALL_SLOTS


def test_an_epoch_is_in_its_phase(phased: TrialConfig) -> None:
    names = [span_at(phased.train, epoch).config.name for epoch in range(6)]
    assert names == ["base", "base", "adaptive_normalisation", "graph", "fine_tuning", "augmentation"]
    assert [(span.first, span.end) for span in spans(phased.train)] == [(0, 2), (2, 3), (3, 4), (4, 5), (5, 6)]


def test_without_phases_all_blocks_learn_at_one_rate(config: TrialConfig) -> None:
    (span,) = spans(config.train)
    assert (span.config.name, span.config.learning_rate, span.config.learns) == (
        "all",
        config.train.learning_rate,
        ALL_SLOTS,
    )


def test_each_phases_rate_is_in_force_and_only_its_blocks_move(blocks: FoldBlocks, phased: TrialConfig) -> None:
    state = new_state(phased, blocks)
    rates: dict[str, list[float]] = {}
    moved: dict[str, set[str]] = {}
    before = {name: value.clone() for name, value in state.model.named_parameters()}

    def look(state: TrainState) -> None:
        name = span_at(phased.train, state.epoch).config.name
        rates.setdefault(name, []).extend(group["lr"] for group in state.optimizer.param_groups)
        for parameter, value in state.model.named_parameters():
            if not torch.equal(value, before[parameter]):
                moved.setdefault(name, set()).add(parameter.split(".")[0])
                before[parameter] = value.detach().clone()

    results = list(fit(state, blocks, phased, after_step=look))
    for phase in PLAN:
        learning = set(phase.learns) - {"augment"}  # has no parameters
        assert moved[phase.name] == learning, phase.name
        assert max(rates[phase.name]) <= phase.learning_rate
        assert max(rates[phase.name]) > 0.4 * phase.learning_rate, "three steps and a warm-up reach most of the peak"
    assert [result.phase for result in results] == [span_at(phased.train, epoch).config.name for epoch in range(6)]


def test_a_block_that_does_not_learn_has_no_dropout_and_no_augmentation(
    blocks: FoldBlocks, phased: TrialConfig
) -> None:
    state = new_state(phased, blocks)
    for phase in PLAN:
        begin_training(state.model, phase)
        for slot, block in state.model.named_children():
            assert block.training is (slot in phase.learns)
            assert all(p.requires_grad is (slot in phase.learns) for p in block.parameters())


def test_a_block_that_never_learns_is_refused(config: TrialConfig) -> None:
    only_head = [{"name": "head", "epochs": config.train.epochs, "learning_rate": 1e-3, "learns": ["head"]}]
    with pytest.raises(SpaceError, match="fusion, graph, norm, projection, selection, temporal never does"):
        config.replace(**{"train.phases": only_head})


def test_a_phase_in_which_nothing_can_learn_is_refused(config: TrialConfig) -> None:
    rest = {"name": "rest", "epochs": config.train.epochs - 1, "learning_rate": 1e-3}
    nothing = {"name": "nothing", "epochs": 1, "learning_rate": 1e-3, "learns": ["augment"]}
    with pytest.raises(SpaceError, match="in 'nothing' none of augment has any"):
        config.replace(**{"train.phases": [rest, nothing]})
