"""Paired differences of the confirm arms: each arm minus the reference on the same seed and fold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from storage.record import TrialRecord

MIN_PAIRS = 4


@dataclass(frozen=True)
class ArmDifference:
    """One arm against the reference, over the pairs that both completed."""

    arm: str
    num_pairs: int
    num_missing: int  # pairs without a value on either side
    mean: float  # NaN without a pair
    standard_error: float  # NaN with fewer than two pairs
    low: float  # simultaneous 95 % interval over all arms (Bonferroni), Student's t; NaN with fewer than MIN_PAIRS
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval is on one side, from enough pairs for a deviation to mean anything."""
        return self.num_pairs >= MIN_PAIRS and (self.low > 0 or self.high < 0)


def paired_differences(records: Sequence[TrialRecord], reference: str) -> pd.DataFrame:
    """One row per (arm, seed, fold) of the non-reference arms.

    Columns: arm, seed, fold, value, reference, difference; NaN where a side is not COMPLETE.
    """
    cells = {(r.arm, r.seed, r.fold): r.value if r.state == "COMPLETE" else None for r in records if r.arm}
    rows = []
    for (arm, seed, fold), value in cells.items():
        if arm == reference:
            continue
        own = math.nan if value is None else value
        base = cells.get((reference, seed, fold))
        base = math.nan if base is None else base
        rows.append({"arm": arm, "seed": seed, "fold": fold, "value": own, "reference": base, "difference": own - base})
    columns = ["arm", "seed", "fold", "value", "reference", "difference"]
    return pd.DataFrame(rows, columns=columns).sort_values(["arm", "seed", "fold"], ignore_index=True)


def summarise(differences: pd.DataFrame) -> list[ArmDifference]:
    """Mean and simultaneous 95 % t interval per arm.

    Pairs share days and seeds, so the intervals are descriptive, not a verdict.
    """
    groups = [(str(arm), group["difference"].to_numpy()) for arm, group in differences.groupby("arm", sort=False)]
    quantile = 1 - 0.05 / (2 * max(1, len(groups)))
    return [_summary(arm, difference, quantile) for arm, difference in groups]


def _summary(arm: str, difference: np.ndarray, quantile: float) -> ArmDifference:
    known = difference[np.isfinite(difference)]
    n = len(known)
    mean = float(known.mean()) if n else math.nan
    error = float(known.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    reach = float(stats.t.ppf(quantile, n - 1)) * error if n >= MIN_PAIRS else math.nan
    return ArmDifference(arm, n, len(difference) - n, mean, error, mean - reach, mean + reach)
