"""DayBlocks of a fold: which days make a step, in an order that (seed, epoch) alone decides."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from filelock import FileLock

from data.batch import DayBlock, make_block
from data.config import DataConfig
from data.errors import DataError
from data.scaler import RobustScaler
from data.splits import Fold
from data.store import MarketStore


class FoldBlocks:
    """Training steps and scored blocks of one fold of a store; holds no copy of the data.

    A step is `days_per_step` days made of blocks of `block_days` consecutive days from distant dates:
    neighbouring days carry almost the same 20-day label.
    """

    def __init__(self, store: MarketStore, fold: Fold, config: DataConfig, block_days: int) -> None:
        self.store, self.fold, self.config, self.block_days = store, fold, config, block_days
        self.scaler = fold_scaler(store, fold, config)
        rows = block_days + config.window - 1
        self._buffer = np.empty((rows, *store.features.shape[1:]), np.float32)
        enough = (np.isfinite(store.labels) & store.observed[..., None]).sum(axis=1).min(axis=1) >= config.min_stocks
        self._enough = np.asarray(enough)
        if not self._enough[fold.score.start : fold.score.stop].any():
            raise DataError(
                f"fold {fold.name} must have days with at least {config.min_stocks} labelled stocks, but none "
                f"of its {len(fold.score)} scored days has. Lower min_stocks or bring a fuller panel."
            )

    @property
    def num_train_days(self) -> int:
        return len(self.fold.train)

    def steps(self, epoch: int, seed: int, days_per_step: int, days_per_epoch: int) -> list[list[range]]:
        """The epoch's steps, each a list of day ranges: stratified in time, offset and order drawn anew.

        Every range lies within the training days; each day occurs at most once in an epoch. The blocks of a step
        come from the same place of equally long strata, so that they are one stratum apart.
        """
        rng = np.random.default_rng([seed, epoch, 0xDA7A])
        width = min(self.block_days, self.num_train_days)
        offset = int(rng.integers(0, min(width, self.num_train_days - width + 1)))
        starts = np.arange(self.fold.train.start + offset, self.fold.train.stop - width + 1, width)
        per_step = max(1, min(round(days_per_step / width), len(starts)))
        stratum = len(starts) // per_step
        skipped = int(rng.integers(0, len(starts) - stratum * per_step + 1))
        grid = starts[skipped : skipped + stratum * per_step].reshape(per_step, stratum)
        num_steps = max(1, min(stratum, round(days_per_epoch / (width * per_step))))
        chosen = rng.permutation(stratum)[:num_steps]
        return [[range(int(s), int(s) + width) for s in grid[:, place]] for place in chosen]

    def block(self, days: range) -> DayBlock:
        """The block of consecutive training or scored days; valid until the next call."""
        return make_block(self.store, self.scaler, self.config, days, self._buffer)

    def scored(self) -> Iterator[DayBlock]:
        """All scored days once, in calendar order."""
        score = self.fold.score
        for start in range(score.start, score.stop, self.block_days):
            yield self.block(range(start, min(start + self.block_days, score.stop)))

    def has_enough_stocks(self, day: int) -> bool:
        """Whether the day's cross-section is large enough to be ranked; other days are left out and counted."""
        return bool(self._enough[day])


def fold_scaler(store: MarketStore, fold: Fold, config: DataConfig) -> RobustScaler:
    """The scaler of the fold's training days, fitted once per store and shared by all trials."""
    key = json.dumps([fold.train.start, fold.train.stop, config.clip])
    path = store.folder / f"scaler-{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"
    if not path.exists():
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                _fit_scaler(store, fold, config, path)
    return RobustScaler.from_dict(json.loads(path.read_text()))


def _fit_scaler(store: MarketStore, fold: Fold, config: DataConfig, path: Path) -> None:
    scaler = RobustScaler.fit(store.features[fold.train.start : fold.train.stop], config.clip)
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    scratch.write_text(json.dumps(scaler.to_dict()))
    scratch.rename(path)
