"""What finished trials said, side by side on the same days and stocks: what ensembles are chosen and judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from model.metrics import rank_ic
from reports.inference.ensembles import greedy
from storage.record import TrialRecord
from trial.predictions import PREDICTIONS, SCALER, WEIGHTS
from trial.production.scoring import standardised

LEAST_STOCKS = 3  # of a day that has a RankIC


@dataclass(frozen=True, eq=False)
class Pool:
    """M trials on D days of N stocks; NaN where one of them, or the label, is not known."""

    records: tuple[TrialRecord, ...]
    days: list[str]  # [D] ISO
    score_MDN: np.ndarray  # standardised within the day
    label_DN: np.ndarray

    def daily(self, score_DN: np.ndarray) -> np.ndarray:
        """[D] RankIC."""
        return daily_rank_ic(score_DN, self.label_DN)

    def select(self, size: int) -> list[int]:
        """Places of the greedy ensemble's members, by their mean daily RankIC here."""
        return greedy(self.score_MDN, lambda score_DN: float(np.nanmean(self.daily(score_DN))), size)


def has_files(record: TrialRecord) -> bool:
    """Whether a trial has left what an ensemble needs of it."""
    place = record.attributes.get("predictions")
    folder = Path(str(place)).parent
    return place is not None and all((folder / name).is_file() for name in (WEIGHTS, SCALER, PREDICTIONS))


def pool_of(records: Sequence[TrialRecord], horizon: int) -> Pool:
    """Trials of one fold, on the days and stocks that all of them have scored."""
    score, label = f"score_{horizon}d", f"return_{horizon}d"
    tables = [
        pq.read_table(record.attributes["predictions"], columns=["date", "code", score, label]) for record in records
    ]
    frames = [table.to_pandas().set_index(["date", "code"]) for table in tables]
    scores = [frame[score].unstack() for frame in frames]
    labels = frames[0][label].unstack()
    score_MDN = np.stack([each.reindex_like(labels).to_numpy(np.float64) for each in scores])
    known = np.isfinite(score_MDN).all(axis=0) & np.isfinite(labels.to_numpy(np.float64))
    score_MDN = np.where(known, score_MDN, np.nan)
    days = [str(day)[:10] for day in pd.Index(labels.index)]
    return Pool(tuple(records), days, standardised(score_MDN), np.where(known, labels.to_numpy(np.float64), np.nan))


def daily_rank_ic(score_DN: np.ndarray, label_DN: np.ndarray) -> np.ndarray:
    """[D], NaN where fewer than three stocks have both, or either is constant."""
    mask = np.isfinite(score_DN) & np.isfinite(label_DN)
    return rank_ic(score_DN[..., None], label_DN[..., None], mask[..., None], LEAST_STOCKS)[:, 0]
