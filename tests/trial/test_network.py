"""The network on a real store: it can fit a planted effect, and every arm of every space makes a difference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from data.config import DataConfig
from data.loader import FoldBlocks
from data.store import MarketStore
from model.augment.identity import IdentityAugmentConfig
from model.metrics import rank_ic
from search_spaces import SPACES
from search_spaces.config import TrialConfig
from search_spaces.train import TrainConfig
from tests.model.samples import every_network
from trial.state import new_state

STEPS, RATE = 60, 1e-2
STILL = {
    "model.temporal.dropout": 0.0,
    "model.graph.dropout": 0.0,
    "model.graph.edge_dropout": 0.0,
    "model.head.dropout": 0.0,
}
READERS = {name: config for name, config in every_network() if name.startswith(("temporal=", "graph=", "selection="))}
FITTING = {name: config for name, config in READERS.items() if name not in ("temporal=identity", "graph=identity")}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def config(small_config: DataConfig) -> TrialConfig:
    data = small_config.model_copy(update={"window": 20})
    return TrialConfig(data=data, train=TrainConfig(horizon_weights=(1.0, 1.0))).replace(**STILL)


@pytest.fixture
def blocks(small_store: MarketStore, config: TrialConfig) -> FoldBlocks:
    return FoldBlocks(small_store, small_store.splits(config.data).search, config.data, config.train.block_days)


@pytest.mark.parametrize("name", FITTING)
def test_sixty_steps_on_a_planted_effect_fit_a_small_market(blocks: FoldBlocks, config: TrialConfig, name: str) -> None:
    """Whatever reads, a block that computes and learns can learn four blocks by heart; a dead one cannot."""
    slot = name.split("=")[0]
    config = config.replace(**{f"model.{slot}": getattr(FITTING[name], slot), "model.augment": IdentityAugmentConfig()})
    still = {
        key: 0.0
        for key in STILL
        if key.split(".")[1] == slot and hasattr(getattr(config.model, slot), key.split(".")[2])
    }
    config = config.replace(**still)
    net, loss = new_state(config, blocks).model.train(), config.build_loss()
    first, optimiser = blocks.fold.train.start, torch.optim.Adam(net.parameters(), lr=RATE)
    days = [range(first + 20 * k, first + 20 * k + 4) for k in range(4)]
    for _ in range(STEPS):
        optimiser.zero_grad()
        for block in blocks.stream(days):
            parts = loss(net(*block.inputs), block.target_BNK, block.label_mask_BNK)
            (parts["total"] / len(days)).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
    scored = []
    with torch.no_grad():
        for block in blocks.stream(days):
            score = net.eval()(*block.inputs).score_BNK.numpy()
            scored.append(rank_ic(score, block.return_BNK.numpy(), block.label_mask_BNK.numpy(), 10))
    assert (np.concatenate(scored).mean(axis=0) > 0.9).all()


ARMS = [pytest.param(space, arm, id=f"{space}-{arm}") for space in SPACES for arm in SPACES[space].arms]


@pytest.mark.parametrize(("space", "arm"), ARMS)
def test_every_arm_changes_the_predictions_or_the_loss(
    blocks: FoldBlocks, config: TrialConfig, space: str, arm: str
) -> None:
    """Dropout is off, so that a difference is the arm's and not that of other random numbers."""
    told = []
    for each in (config, SPACES[space].arm_configs(config)[arm]):
        state = new_state(each, blocks)
        block = blocks.block(range(blocks.fold.train.start, blocks.fold.train.start + 4))
        out = state.model.train()(*block.inputs)
        total = each.build_loss()(out, block.target_BNK, block.label_mask_BNK)["total"]
        told.append((out.score_BNK.detach(), float(total.detach())))
    (scores, loss), (others, other) = told
    assert not torch.allclose(scores, others, atol=1e-4) or abs(loss - other) > 1e-4
