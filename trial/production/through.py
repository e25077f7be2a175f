"""The same configurations trained again, on every day through a date: networks that nobody has scored."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from rich.console import Console

from data.errors import DataError
from data.loader import FoldBlocks
from data.prepare import prepare
from data.progress import Shown
from data.splits import MIN_TRAIN_DAYS, Fold
from data.store import MarketStore
from search_spaces.config import TrialConfig
from storage.bundle import BundleError
from trial.build import probe_memory
from trial.endings import TrialEnded
from trial.fit import fit
from trial.machine import Machine
from trial.predictions import PREDICTIONS, SCALER, WEIGHTS, write_scaler, write_weights
from trial.production.networks import UNSCORED, Networks, read_networks, write_networks
from trial.production.scoring import Scorer, scores_table
from trial.settings import read_settings
from trial.state import new_state
from trial.training_view import Watcher

ABOUT = "the same configurations, learned from every day whose label is known by"
GUARD_DAYS = (
    20  # the last that are learned from: by them a constant or diverged network is known, and nothing is claimed
)
PREDICTED_DAYS = 20  # the last through the date, which the set must predict again


def set_through(date: dt.date) -> str:
    """The name of the set."""
    return f"{UNSCORED}{date.isoformat()}"


def train_through(
    folder: Path,
    parent: Networks,
    panel: Path,
    prepared: Path,
    date: dt.date,
    machine: Machine,
    console: Console,
) -> MarketStore:
    """Trains every member anew and writes the set; the market that it learned from, which ends with the date.

    Raises:
        DataError: the panel does not reach the date, other columns, too few days, none after those of the parent.
        BundleError: a network diverged, or ranks nothing.
    """
    configs = [member.config for member in parent.members]
    data = parent.contract.settings_through(panel, configs[0].data, date)
    store = prepare(panel, prepared, data, Shown(console), read_settings().prepare_memory_mib)
    if store.meta.holdout_from is None and store.dates[-1] < np.datetime64(date):
        raise DataError(
            f"weights can learn through a day of the panel, but it ends with {store.dates[-1]}, before {date}. Choose "
            f"an earlier day, or bring a longer panel."
        )
    parent.contract.order(store)
    own = [config.replace(data=config.data.model_copy(update=_of(data))) for config in configs]
    fold = _fold(own[0], store)
    if (ends := store.dates[fold.train[-1]]) <= np.datetime64(parent.trained_through):
        raise DataError(
            f"weights are trained again to learn from later days than {parent.trained_through}, but labels that are "
            f"known by {date} end with those of {ends}. Choose a later day."
        )
    about = f"the same configuration, learned through {date}; nobody has scored it"
    held_out = parent.held_out_through.isoformat() if parent.held_out_through else None
    write_networks(folder, store, fold.train, own, about, held_out, parent.shares)
    for place, config in enumerate(own):
        console.print(f"training   member {place + 1} of {len(own)}, seed {config.seed}: through {date}")
        _train(folder / str(place), config, store, _fold(config, store), machine, console)
    _predict(folder, store)
    return store


def _of(data: object) -> dict[str, object]:
    return {name: getattr(data, name) for name in ("columns", "splits")}


def _fold(config: TrialConfig, store: MarketStore) -> Fold:
    """Every day whose label is known by the last one; the days that guard are learned from as well."""
    graphs = store.graphs(config.data.graph)
    first = max(store.meta.first_known + config.data.window - 1, graphs.first_day if graphs else 0)
    stop = store.num_days - config.data.reach
    longest = config.data.splits.train_days
    train = range(first if longest is None else max(first, stop - longest), stop)
    if len(train) < MIN_TRAIN_DAYS:
        raise DataError(
            f"training needs at least {MIN_TRAIN_DAYS} days, but through {store.dates[-1]} there are "
            f"{max(0, len(train))}. Choose a later day."
        )
    fold = Fold("through", train, range(stop - GUARD_DAYS, stop))
    return fold.watching(config.train.validation_days, config.data.purge)


def _train(
    folder: Path, config: TrialConfig, store: MarketStore, fold: Fold, machine: Machine, console: Console
) -> None:
    torch.set_num_threads(machine.threads)
    blocks = FoldBlocks(store, fold, config.data, config.train.block_days, torch.device(machine.device))
    state = new_state(config, blocks, machine.checkpointed)
    probe_memory(state, blocks, config, machine)
    try:
        with Watcher(console, config, config.train.epochs) as watcher:
            for result in fit(state, blocks, config, machine.recover_oom, watcher.step):
                console.print(f"epoch {result.epoch:>3}  loss {result.losses['total']:.4f}  {result.seconds:.1f} s")
    except TrialEnded as end:
        raise BundleError(
            f"weights through a later day must rank stocks, but the training ended: {end.sentence}"
        ) from end
    write_scaler(folder / SCALER, state.scaler)
    write_weights(folder / WEIGHTS, state.average.weights(state.model))


def _predict(folder: Path, store: MarketStore) -> None:
    """What each member says of the last days, for whoever verifies the set."""
    networks = read_networks(folder)
    days = range(store.num_days - PREDICTED_DAYS, store.num_days)
    for place, member in enumerate(networks.members):
        scorer = Scorer(networks.alone(place), store)
        tables = [scores_table(scores, store, networks.horizons) for scores in scorer.score(days)]
        pq.write_table(pa.concat_tables(tables), member.folder / PREDICTIONS, compression="zstd")
