"""DayBlocks of a fold: which days make a step, in an order that (seed, epoch) alone decides."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from data.batch import DayBlock, make_block, window_rows
from data.cache import digest, made_once
from data.config import DataConfig
from data.errors import DataError
from data.residence import Where, choose_residence
from data.scaler import RobustScaler
from data.splits import Fold
from data.store import MarketStore


class EpochLayout(NamedTuple):
    """How an epoch's blocks become steps."""

    per_step: int  # blocks of a step
    stratum: int  # blocks in each of the equally long stretches that a step takes one from
    num_steps: int


def epoch_layout(num_blocks: int, block_days: int, days_per_step: int, days_per_epoch: int) -> EpochLayout:
    """Of `num_blocks` blocks; every block is used at most once."""
    per_step = max(1, min(round(days_per_step / block_days), num_blocks))
    stratum = num_blocks // per_step
    return EpochLayout(per_step, stratum, max(1, min(stratum, round(days_per_epoch / (block_days * per_step)))))


class FoldBlocks:
    """Training steps and scored blocks of one fold of a store, on a device; on a CPU it holds no copy of the data.

    A step is `days_per_step` days made of blocks of `block_days` consecutive days from distant dates: neighbouring
    days carry almost the same 20-day label.
    """

    def __init__(
        self,
        store: MarketStore,
        fold: Fold,
        config: DataConfig,
        block_days: int,
        device: torch.device | None = None,
        where: Where = "auto",
    ) -> None:
        self.store, self.fold, self.config, self.block_days = store, fold, config, block_days
        self.device = device or torch.device("cpu")
        self.graphs, self.targets = store.graphs(config.graph), store.targets(config.labels)
        self.scaler = fold_scaler(store, fold, config).without(left_out(store.meta.features, config.leave_out))
        rows = block_days + config.window - 1
        self._residence = choose_residence(store.features, self.scaler, self.device, rows, where)
        self._enough = _enough_stocks(self.targets, fold, config)
        if not any(self.has_enough_stocks(day) for day in fold.score):
            raise DataError(
                f"fold {fold.name} must have days with at least {config.min_stocks} labelled stocks, but none "
                f"of its {len(fold.score)} scored days has. Lower min_stocks or bring a fuller panel."
            )

    @property
    def num_train_days(self) -> int:
        return len(self.fold.train)

    @property
    def last_train_days(self) -> range:
        """The last block of the training days."""
        return range(max(self.fold.train.start, self.fold.train.stop - self.block_days), self.fold.train.stop)

    @property
    def num_days_left_out(self) -> int:
        """Training and scored days whose cross-section is too small to be ranked."""
        return sum(not self.has_enough_stocks(day) for days in (self.fold.train, self.fold.score) for day in days)

    def steps(self, epoch: int, seed: int, days_per_step: int, days_per_epoch: int) -> list[list[range]]:
        """The epoch's steps, each a list of day ranges: stratified in time, offset and order drawn anew.

        Every range lies within the training days; each day occurs at most once in an epoch. The blocks of a step
        come from the same place of equally long strata, so that they are one stratum apart.
        """
        rng = np.random.default_rng([seed, epoch, 0xDA7A])
        width = min(self.block_days, self.num_train_days)
        offset = int(rng.integers(0, min(width, self.num_train_days - width + 1)))
        starts = np.arange(self.fold.train.start + offset, self.fold.train.stop - width + 1, width)
        per_step, stratum, num_steps = epoch_layout(len(starts), width, days_per_step, days_per_epoch)
        skipped = int(rng.integers(0, len(starts) - stratum * per_step + 1))
        grid = starts[skipped : skipped + stratum * per_step].reshape(per_step, stratum)
        chosen = rng.permutation(stratum)[:num_steps]
        return [[range(int(s), int(s) + width) for s in grid[:, place]] for place in chosen]

    def block(self, days: range) -> DayBlock:
        """The block of consecutive training or scored days; valid until the next call."""
        return next(self.stream([days]))

    def stream(self, blocks: list[range]) -> Iterator[DayBlock]:
        """Blocks in the order given, the next one on its way while one is used; each is valid until the next."""
        rows = self._residence.stream([window_rows(self.config, days) for days in blocks])
        for days, x_TNF in zip(blocks, rows, strict=True):
            block = make_block(self.store, self.graphs, self.targets, self.config, days, x_TNF)
            yield block.to(self.device)

    def in_order(self, days: range) -> Iterator[DayBlock]:
        """Scored or validation days once each, in calendar order."""
        width = self.block_days
        return self.stream([range(d, min(d + width, days.stop)) for d in range(days.start, days.stop, width)])

    def has_enough_stocks(self, day: int) -> bool:
        """Whether the day's cross-section is large enough to be ranked; other days are left out and counted."""
        return bool(self._enough[day])


def _enough_stocks(targets: np.ndarray, fold: Fold, config: DataConfig) -> dict[int, bool]:
    """Day of the fold -> every horizon has enough labelled stocks of the universe."""
    enough: dict[int, bool] = {}
    for days in (fold.train, fold.validation, fold.score):
        for start in range(days.start, days.stop, 32):
            part = slice(start, min(start + 32, days.stop))
            least = np.isfinite(targets[part]).sum(axis=1).min(axis=1)
            enough |= {start + k: bool(count >= config.min_stocks) for k, count in enumerate(least)}
    return enough


def left_out(features: Sequence[str], patterns: Sequence[str]) -> list[int]:
    """Positions of the features that the patterns name.

    Raises:
        DataError: a pattern names none, or they name all.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in features):
            raise DataError(
                f"data.leave_out must name features of the market, but {pattern!r} matches none of its {len(features)}."
            )
    found = [place for place, name in enumerate(features) if any(fnmatchcase(name, each) for each in patterns)]
    if len(found) == len(features):
        raise DataError("data.leave_out must leave features to learn from, but it leaves out every one.")
    return found


def fold_scaler(store: MarketStore, fold: Fold, config: DataConfig) -> RobustScaler:
    """The scaler of the fold's training days, fitted once per store and shared by all trials."""
    streaming = config.scaler == "streaming"
    key = digest([fold.train.start, fold.train.stop, config.clip, *(["streaming"] if streaming else [])])

    def fit(path: Path) -> None:
        raw = store.features[fold.train.start : fold.train.stop]
        scaler = RobustScaler.stream(raw, config.clip) if streaming else RobustScaler.fit(raw, config.clip)
        path.write_text(json.dumps(scaler.to_dict()))

    return RobustScaler.from_dict(json.loads(made_once(store.folder / f"scaler-{key}.json", fit).read_text()))
