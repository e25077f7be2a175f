"""Ensembles judged on confirm days: a greedy one of the search's networks, and the winner's seeds together."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.splits import Fold
from data.store import MarketStore
from reports.daily import primary_horizon
from reports.deployment import decide
from reports.evidence import Evidence
from search_spaces.config import TrialConfig
from storage.errors import StorageError
from storage.record import TrialRecord
from trial.build import fold_of
from trial.predictions import PREDICTIONS, SCALER, WEIGHTS
from trial.production.networks import read_networks, write_networks
from trial.production.pool import Pool, daily_rank_ic, has_files, pool_of
from trial.production.scoring import Scorer


@dataclass(frozen=True, eq=False)
class Judged:
    """Daily RankIC on confirm days, T of them."""

    ensemble_T: np.ndarray
    alone_T: np.ndarray
    about: str  # what it is held against


def judge_greedy(market: MarketStore, pool: Pool, chosen: Sequence[int], configs: dict[int, TrialConfig]) -> Judged:
    """The ensemble and the best trial on confirm days, both as trained for the search fold.

    Args:
        market: that the search learned from.
        pool: the candidates, the best first.
        chosen: places of the members, as often as each counts.
        configs: by place, of the members and of the best.

    Raises:
        StorageError: the sweep has no confirm folds.
    """
    splits = market.splits(configs[0].data)
    if not splits.are_separate:
        raise StorageError(
            "an ensemble is judged on confirm folds, but the history has no room for any. Take a longer one."
        )
    places = sorted(set(chosen))
    together = _daily(market, pool, configs, places, [chosen.count(place) for place in places], splits.confirm)
    alone = _daily(market, pool, configs, [0], [1], splits.confirm)
    known = np.isfinite(together) & np.isfinite(alone)
    return Judged(together[known], alone[known], f"trial {pool.records[0].number} alone, the best of the search")


def _daily(
    market: MarketStore,
    pool: Pool,
    configs: dict[int, TrialConfig],
    places: list[int],
    times: list[int],
    folds: Sequence[Fold],
) -> np.ndarray:
    """[T] RankIC of networks together, at the first one's primary horizon, on the folds' days."""
    with tempfile.TemporaryDirectory() as scratch:
        own, members = Path(scratch) / "own", [configs[place] for place in places]
        train = fold_of(members[0], market).train
        write_networks(own, market, train, members, "to be judged", None, [float(each) for each in times])
        for number, place in enumerate(places):
            copy_left(pool.records[place], own / str(number))
        networks = read_networks(own)
    k = networks.horizons.index(primary_horizon(networks.horizons))
    scorer, daily = Scorer(networks, market), []
    for fold in folds:
        score_DN = np.full((len(fold.score), len(market.codes)), np.nan)
        for scores in scorer.score(fold.score):
            score_DN[scores.day - fold.score.start, scores.stocks] = scores.score_nK[:, k]
        label_DN = np.asarray(market.labels[fold.score.start : fold.score.stop, :, k], np.float64)
        daily.append(daily_rank_ic(score_DN, label_DN))
    return np.concatenate(daily)


def copy_left(record: TrialRecord, folder: Path) -> None:
    """What the trial left, to the folder of a member."""
    left = Path(str(record.attributes["predictions"])).parent
    for file in (WEIGHTS, SCALER, PREDICTIONS):
        shutil.copyfile(left / file, folder / file)


def judge_seeds(evidence: Evidence) -> Judged | None:
    """The winner's seeds together against their mean alone; None where it was not confirmed with two or more."""
    winner = decide(evidence).winner
    if winner is None or evidence.confirm is None:
        return None
    own = [
        record
        for record in evidence.confirm.compared
        if record.arm == winner.arm
        and record.state == "COMPLETE"
        and record.attributes["config_hash"] == winner.config_hash
        and has_files(record)
    ]
    by_fold: dict[str, list[TrialRecord]] = {}
    for record in own:
        by_fold.setdefault(str(record.fold), []).append(record)
    together, alone = [], []
    for _, records in sorted(by_fold.items()):
        if len(records) < 2:
            return None
        pool = pool_of(records, winner.horizon)
        together.append(pool.daily(pool.score_MDN.mean(axis=0)))
        alone.append(np.mean([pool.daily(score_DN) for score_DN in pool.score_MDN], axis=0))
    if not together:
        return None
    ensemble_T, alone_T = np.concatenate(together), np.concatenate(alone)
    known = np.isfinite(ensemble_T) & np.isfinite(alone_T)
    return Judged(ensemble_T[known], alone_T[known], f"the mean of the winner's {len(own) // len(by_fold)} seeds alone")
