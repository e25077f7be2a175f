"""TrainState: everything a checkpoint holds. A run that is saved and loaded goes on bit for bit."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import torch

from data.graph import EDGE_ATTRIBUTES
from data.loader import FoldBlocks
from data.scaler import RobustScaler
from model.atft import ATFT
from model.groups import parameter_groups
from model.protocols import Sizes
from search_spaces.config import TrialConfig
from trial.evaluate import EpochResult, Scores


@dataclass
class TrainState:
    """Model, averaged weights, optimiser, position, and every result so far.

    `scores` are the last evaluation's predictions; they are not part of a checkpoint.
    """

    model: ATFT
    average: dict[str, torch.Tensor]
    optimizer: torch.optim.Optimizer
    scaler: RobustScaler  # of the fold's training days; what the model learned from is what it must be given
    micro_batch: int  # days that are computed at once; smaller where they did not fit
    epoch: int = 0
    step: int = 0
    results: list[EpochResult] = field(default_factory=list)
    scores: Scores | None = None

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device


def new_state(config: TrialConfig, blocks: FoldBlocks, checkpointed: Collection[str] = ()) -> TrainState:
    """A fresh state of `config` for the blocks it will see; seeds torch's generator for dropout and augmentation."""
    torch.manual_seed(config.seed)
    sizes = Sizes(
        features=len(blocks.store.meta.features),
        hidden=config.model.hidden,
        window=config.data.window,
        edge_attributes=len(EDGE_ATTRIBUTES),
        horizons=len(config.data.horizons),
        sectors=blocks.store.num_sectors,
    )
    model = ATFT(config.model, sizes, config.seed, checkpointed).to(blocks.device)
    groups = parameter_groups(model, config.train.weight_decay, config.train.groups)
    optimizer = torch.optim.AdamW(groups, lr=config.train.learning_rate)
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    return TrainState(model, average, optimizer, blocks.scaler, micro_batch=config.train.block_days)


def save_state(state: TrainState, path: Path) -> None:
    """Writes the checkpoint atomically: a killed process leaves the previous one."""
    content = {
        "model": state.model.state_dict(),
        "average": state.average,
        "optimizer": state.optimizer.state_dict(),
        "epoch": state.epoch,
        "step": state.step,
        "micro_batch": state.micro_batch,
        "scaler": json.dumps(state.scaler.to_dict()),
        "results": json.dumps([result.to_dict() for result in state.results]),
        "torch_rng": torch.get_rng_state(),
    }
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    torch.save(content, scratch)
    os.replace(scratch, path)


def load_state(state: TrainState, path: Path) -> TrainState:
    """Fills a fresh state from a checkpoint; reads tensors and plain values alone, never code.

    Raises:
        ValueError: the checkpoint was trained on features scaled otherwise.
    """
    content = torch.load(path, map_location=state.device, weights_only=True)
    if json.loads(content["scaler"]) != state.scaler.to_dict():
        raise ValueError(
            f"a checkpoint must be resumed on the features that it was trained on, but {path} holds another scaler. "
            f"Start the trial again."
        )
    state.model.load_state_dict(content["model"])
    state.average = content["average"]
    state.optimizer.load_state_dict(content["optimizer"])
    state.epoch, state.step, state.micro_batch = content["epoch"], content["step"], content["micro_batch"]
    state.results = [EpochResult.from_dict(result) for result in json.loads(content["results"])]
    torch.set_rng_state(content["torch_rng"].cpu())
    return state
