"""The network on a real store: it can fit a planted effect, and every arm of every space makes a difference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from data.config import DataConfig
from data.loader import FoldBlocks
from data.store import MarketStore
from model.augment.identity import IdentityAugmentConfig
from model.fusion.identity import IdentityFusionConfig
from model.losses.config import QuantileLossConfig
from model.metrics import rank_ic
from search_spaces import SPACES
from search_spaces.config import TrialConfig
from search_spaces.space import SearchSpace
from search_spaces.train import TrainConfig
from tests.model.samples import every_network
from trial.fit import fit
from trial.state import new_state

STEPS, RATE = 60, 1e-2
STILL = {
    "model.temporal.dropout": 0.0,
    "model.graph.dropout": 0.0,
    "model.graph.edge_dropout": 0.0,
    "model.head.dropout": 0.0,
}
NETWORKS = dict(every_network())
CANNOT = ("temporal=identity", "graph=identity")  # one day, or nobody: less than the planted effect needs
FITTING = [name for name in NETWORKS if not name.startswith("augment=") and name not in CANNOT]
ONE_OF_EACH = {name.split("=")[0]: name for name in FITTING}.values()  # slot; the others take minutes together


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def config(small_config: DataConfig) -> TrialConfig:
    data = small_config.model_copy(update={"window": 20})
    config = TrialConfig(data=data, train=TrainConfig(horizon_weights=(1.0, 1.0)))
    return config.replace(**STILL, **{"model.hidden": 16})


@pytest.fixture
def blocks(small_store: MarketStore, config: TrialConfig) -> FoldBlocks:
    return FoldBlocks(small_store, small_store.splits(config.data).search, config.data, config.train.block_days)


def _with(config: TrialConfig, name: str) -> TrialConfig:
    """The configuration with the block of one of the sample networks, without dropout, and the loss of its head."""
    slot = name.split("=")[0]
    block = getattr(NETWORKS[name], slot)
    off = {field: 0.0 for field in ("dropout", "edge_dropout") if field in type(block).model_fields}
    changes: dict[str, object] = {f"model.{slot}": block.model_copy(update=off)}
    if name == "graph=identity":
        changes["model.fusion"] = IdentityFusionConfig()
    if block.kind == "quantile":
        changes["train.loss"] = QuantileLossConfig()
    return config.replace(**changes)


@pytest.mark.parametrize(
    "name", [name if name in ONE_OF_EACH else pytest.param(name, marks=pytest.mark.long) for name in FITTING]
)
def test_sixty_steps_on_a_planted_effect_fit_a_small_market(blocks: FoldBlocks, config: TrialConfig, name: str) -> None:
    """Whatever stands in a slot, a network that computes and learns can learn two blocks by heart."""
    config = _with(config.replace(**{"model.augment": IdentityAugmentConfig()}), name)
    net, loss = new_state(config, blocks).model.train(), config.build_loss()
    first, optimiser = blocks.fold.train.start, torch.optim.Adam(net.parameters(), lr=RATE)
    days = [range(first + 20 * k, first + 20 * k + 4) for k in range(2)]
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


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_of_every_block_learns_from_one_real_batch(
    blocks: FoldBlocks, config: TrialConfig, name: str
) -> None:
    config = _with(config, name)
    net, loss = new_state(config, blocks).model.train(), config.build_loss()
    block = blocks.block(range(blocks.fold.train.start, blocks.fold.train.start + 4))
    loss(net(*block.inputs), block.target_BNK, block.label_mask_BNK)["total"].backward()
    for parameter_name, parameter in net.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.any(), parameter_name


Looked = tuple[Tensor, float]
Look = Callable[[FoldBlocks, TrialConfig], Looked]
NEARLY_THE_SAME = ("streaming_scaler", "shrunk")  # another sketch of the quartiles; other values of the same edges
ARMS = [pytest.param(space, arm, id=f"{space}-{arm}") for space in SPACES for arm in SPACES[space].arms]


@pytest.fixture(scope="module")
def known() -> dict[tuple[Look, str], Looked]:
    """What a reference computes, once for all its arms."""
    return {}


@pytest.mark.parametrize(("space", "arm"), ARMS)
def test_every_arm_changes_what_is_computed(
    blocks: FoldBlocks, config: TrialConfig, known: dict[tuple[Look, str], Looked], space: str, arm: str
) -> None:
    """Dropout is off, so that a difference is the arm's and not that of other random numbers."""
    base = _small(SPACES[space], config)
    turned = SPACES[space].arm_configs(base)[arm]
    seen = FoldBlocks(blocks.store, blocks.fold, turned.data, turned.train.block_days)
    look = _trained_scores if (turned.model, turned.data) == (base.model, base.data) else _first_scores
    key = look, base.model_dump_json()
    if key not in known:
        known[key] = look(blocks, base)
    (scores, loss), (others, other) = known[key], look(seen, turned)
    least = 1e-7 if arm in NEARLY_THE_SAME else 1e-4
    assert not torch.allclose(scores, others, atol=least) or abs(loss - other) > least


def _small(space: SearchSpace, config: TrialConfig) -> TrialConfig:
    """The test's small network; of a space whose reference is another network that one, from which its arms differ."""
    if space.reference == SPACES["gat_ablation"].reference:
        return config
    train = config.train
    changes = {"data": config.data, "model.hidden": config.model.hidden, "train.epochs": train.epochs}
    own = {"train.horizon_weights": train.horizon_weights, "train.days_per_epoch": train.days_per_epoch}
    return space.reference.replace(**changes, **own)


def _first_scores(blocks: FoldBlocks, config: TrialConfig) -> Looked:
    """Of the untrained network, with the loss."""
    state = new_state(config, blocks)
    block = blocks.block(range(blocks.fold.train.stop - 4, blocks.fold.train.stop))  # where all features are known
    out = state.model.train()(*block.inputs)
    total = config.build_loss()(out, block.target_BNK, block.label_mask_BNK)["total"]
    return out.score_BNK.detach(), float(total.detach())


def _trained_scores(blocks: FoldBlocks, config: TrialConfig) -> Looked:
    """After a few steps, with the trial's value: for arms that change how it is trained."""
    short = config.replace(**{"train.epochs": 8, "train.days_per_epoch": 48, "train.learning_rate": 1e-2})
    state = new_state(short, blocks)
    (*_, result) = fit(state, blocks, short)
    assert state.scores is not None
    return torch.from_numpy(state.scores.score), result.value
