"""Fold roles by calendar, the same days for every stock: train, search fold, confirm folds, all purged between.

The layout is ours, because no library lays a search fold and confirm folds of other lengths before a hold-out; that it
does not leak is judged by purgedcv (`prove_purged`) besides our own audit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.config import DataConfig
from data.errors import DataError

MIN_TRAIN_DAYS = 40


class ShortHistoryError(DataError):
    """Too few days for the windows and folds asked."""


@dataclass(frozen=True)
class Fold:
    """Day positions of one role: the model learns on `train` and is scored on `score`."""

    name: str  # "search" or "confirm-1", "confirm-2", ...
    train: range
    score: range
    validation: range = range(0)  # days between them, watched while training and learned by nobody

    def watching(self, days: int, purge: int) -> Fold:
        """The fold whose last `days` training days are watched instead of learned, `purge` days before them left out.

        Raises:
            ShortHistoryError: too few days would be left to learn from.
        """
        if not days:
            return self
        validation = range(self.train.stop - days, self.train.stop)
        train = range(self.train.start, validation.start - purge)
        if len(train) < MIN_TRAIN_DAYS:
            raise ShortHistoryError(
                f"fold {self.name} must have at least {MIN_TRAIN_DAYS} days to learn from, but {days} validation days "
                f"and the {purge} before them leave {max(0, len(train))} of {len(self.train)}. Lower "
                f"train.validation_days."
            )
        return Fold(self.name, train, self.score, validation)


@dataclass(frozen=True)
class Splits:
    """All folds of one market, in calendar order."""

    folds: tuple[Fold, ...]

    @property
    def search(self) -> Fold:
        return self.folds[0]

    @property
    def confirm(self) -> tuple[Fold, ...]:
        """Those after the search fold; the search fold itself where the history has no room for any."""
        return self.folds[1:] or self.folds

    @property
    def are_separate(self) -> bool:
        """Whether arms are confirmed on days that no search has read."""
        return len(self.folds) > 1

    @property
    def doubts(self) -> list[str]:
        """What should be known before anybody trains, in words."""
        if self.are_separate:
            return []
        return [
            "there are no confirm folds (few days, or confirm_folds: 0), so all that is said of arms is exploratory"
        ]

    def __getitem__(self, name: str) -> Fold:
        for fold in self.folds:
            if fold.name == name:
                return fold
        raise DataError(f"a fold must be one of {[fold.name for fold in self.folds]}, got {name!r}.")


def make_splits(num_days: int, first_usable: int, config: DataConfig) -> Splits:
    """Lays the folds backwards from the last labelled day.

    Args:
        num_days: days in the store, hold-out excluded.
        first_usable: first day that has a full window of features.
        config: horizons, delay and the lengths of the roles.

    Raises:
        ShortHistoryError: the history is too short for the windows and folds asked.
    """
    splits, purge = config.splits, config.purge
    end = num_days - config.horizons[-1] - config.delay  # no label is known from here on
    scored: list[range] = []
    for length in [splits.confirm_days] * splits.confirm_folds + [splits.search_days]:
        scored.append(range(end - length, end))
        end -= length + purge
    names = ["search", *(f"confirm-{k + 1}" for k in range(splits.confirm_folds))]
    folds = [
        Fold(name, _train_days(first_usable, score.start - purge, splits.train_days), score)
        for name, score in zip(names, reversed(scored), strict=True)
    ]
    _refuse_short_history(folds[0], num_days, first_usable, config)
    result = Splits(tuple(folds))
    audit_splits(result, config)
    return result


def audit_splits(splits: Splits, config: DataConfig) -> None:
    """Proves that no label that a fold learns from overlaps one that it is scored on, nor folds one another.

    A label at day t covers the closes t + delay .. t + delay + h.

    Raises:
        DataError: an overlap, by fold and day.
    """
    reach = config.reach
    for fold in splits.folds:
        if fold.train[-1] + reach > fold.score[0]:
            raise DataError(
                f"labels must end before the scored days begin, but in fold {fold.name} training day "
                f"{fold.train[-1]} is known at day {fold.train[-1] + reach}, after {fold.score[0]}. Raise the purge."
            )
    for before, after in zip(splits.folds, splits.folds[1:], strict=False):
        if before.score[-1] + reach > after.score[0]:
            raise DataError(
                f"scored days must not share labels, but {before.name} reaches day {before.score[-1] + reach} "
                f"and {after.name} begins at {after.score[0]}. Raise the purge."
            )


def prove_purged(splits: Splits, config: DataConfig) -> None:
    """Has purgedcv purge every fold against its scored days, and these against those of the folds before.

    It takes some seconds to load, so the command that starts a sweep asks once, and workers do not.

    Raises:
        DataError: it would remove a day that we kept.
    """
    import pandas as pd
    from purgedcv import purge

    last = max(fold.score[-1] for fold in splits.folds)
    known = pd.Timestamp("2000-01-01") + pd.to_timedelta(np.arange(last + 1), unit="D")  # positions as days
    answered = known + pd.Timedelta(days=config.reach)
    pairs = [(fold.name, fold.train, fold.score) for fold in splits.folds]
    pairs += [
        (f"{after.name} and {before.name}", before.score, after.score)
        for before, after in zip(splits.folds, splits.folds[1:], strict=False)
    ]
    for name, earlier, later in pairs:
        kept = purge(np.array(earlier), np.array(later), pd.Series(known), pd.Series(answered))
        if len(kept) < len(earlier):
            raise DataError(
                f"no label of fold {name} may overlap a scored one, but purgedcv removes {len(earlier) - len(kept)} "
                f"days. Raise splits.embargo_days."
            )


def _train_days(first: int, stop: int, longest: int | None) -> range:
    """All days before the fold, or the last `longest` of them."""
    return range(first if longest is None else max(first, stop - longest), stop)


def _refuse_short_history(search: Fold, num_days: int, first_usable: int, config: DataConfig) -> None:
    if len(search.train) < MIN_TRAIN_DAYS:
        splits = config.splits
        raise ShortHistoryError(
            f"training needs at least {MIN_TRAIN_DAYS} days, but of {num_days} before the hold-out {len(search.train)} "
            f"are left after {first_usable} to begin with (window, graph), a search fold of {splits.search_days}, "
            f"{splits.confirm_folds} confirm folds of {splits.confirm_days}, a purge of {config.purge} before each of "
            f"them, and {config.reach} at the end whose labels are not known. Bring a longer panel, or shorten splits, "
            f"horizons or window. With splits.confirm_folds: 0 arms are compared on the search's own days, and all "
            f"that is said of them is exploratory."
        )
