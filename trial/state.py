"""TrainState: everything that a training is at a moment. What is in it is in its checkpoint (`trial/checkpoint.py`)."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from data.graph import EDGE_ATTRIBUTES
from data.loader import FoldBlocks
from data.scaler import RobustScaler
from data.store import MarketStore
from model.atft import ATFT
from model.groups import parameter_groups
from model.protocols import Sizes
from search_spaces.config import TrialConfig
from trial.average import Average, make_average
from trial.evaluate import EpochResult, Scores
from trial.events import Event
from trial.health import Health
from trial.precision import Precision, make_precision
from trial.watch import Watches, make_watches


@dataclass
class Progress:
    """Within the epoch under way."""

    position: int = 0  # steps done
    num_steps: int = 0  # of the epoch
    good_steps: int = 0
    bad_steps: int = 0
    bad_in_a_row: int = 0
    losses: dict[str, float] = field(default_factory=dict)  # sums over the good steps, by part
    learning_rate: float = 0.0  # of the last step
    gradient_norm: float = 0.0  # sum over the good steps, before clipping
    seconds: float = 0.0  # of attempts before this one


@dataclass
class TrainState:
    """Model, the weights that are evaluated, optimiser, position, and every result so far.

    `scores` are the last evaluation's predictions; they are not part of a checkpoint.
    """

    model: ATFT
    average: Average
    optimizer: torch.optim.Optimizer
    precision: Precision
    watches: Watches
    health: Health
    scaler: RobustScaler  # of the fold's training days; what the model learned from is what it must be given
    micro_batch: int  # days that are computed at once; smaller where they did not fit
    epoch: int = 0
    step: int = 0
    progress: Progress = field(default_factory=Progress)
    events: list[Event] = field(default_factory=list)  # of the epoch under way
    results: list[EpochResult] = field(default_factory=list)
    scores: Scores | None = None

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def is_done(self) -> bool:
        """Whether the last epoch has been sent."""
        return bool(self.results) and self.results[-1].is_last


def sizes_of(config: TrialConfig, store: MarketStore) -> Sizes:
    """What the network of a configuration is built from on this market."""
    return Sizes(
        features=len(store.meta.features),
        hidden=config.model.hidden,
        window=config.data.window,
        edge_attributes=len(EDGE_ATTRIBUTES),
        horizons=len(config.data.horizons),
        sectors=store.num_sectors,
    )


def new_state(config: TrialConfig, blocks: FoldBlocks, checkpointed: Collection[str] = ()) -> TrainState:
    """A fresh state of `config` for the blocks it will see; seeds every generator there is."""
    seed_everything(config.seed, config.train.deterministic)
    sizes, train = sizes_of(config, blocks.store), config.train
    model = ATFT(config.model, sizes, config.seed, checkpointed).to(blocks.device)
    groups = parameter_groups(model, train.weight_decay, train.groups)
    return TrainState(
        model=model,
        average=make_average(model, train.ema_decay),
        optimizer=torch.optim.AdamW(groups, lr=train.learning_rate),
        precision=make_precision(train.precision, blocks.device),
        watches=make_watches(train),
        health=Health(train.health),
        scaler=blocks.scaler,
        micro_batch=train.block_days,
    )


def seed_everything(seed: int, deterministic: bool) -> None:
    """One seed for Python, NumPy and torch. Nothing here draws from the first two; libraries might.

    With `deterministic`, torch refuses operations whose result differs from run to run.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(deterministic)
    settings: Any = torch.utils.deterministic
    settings.fill_uninitialized_memory = False  # a guard that costs a pass of writing
    torch.backends.cudnn.benchmark = not deterministic
