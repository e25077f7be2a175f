"""How far early stopping can be trusted: does a trial's rank at a rung say its rank at the end?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from storage.record import TrialRecord

MIN_TRIALS = 4  # of which a rank correlation means anything


@dataclass(frozen=True)
class RungTrust:
    """One rung, over the trials that came to their end."""

    epoch: int
    num_trials: int
    correlation: float  # Spearman's; NaN with fewer than MIN_TRIALS trials, or where all are equal

    @property
    def in_words(self) -> str:
        if math.isnan(self.correlation):
            return f"epoch {self.epoch}: not known from {self.num_trials} finished"
        return f"epoch {self.epoch}: {self.correlation:+.2f} of {self.num_trials}"


def rung_trust(records: Sequence[TrialRecord], rungs: Sequence[int]) -> list[RungTrust]:
    """Rank correlation of the best value so far at each rung, which ASHA ranks by, with the final value.

    Of COMPLETE trials alone: those that were cut have no final value, so a rung that cuts the wrong ones looks better
    here than it is.
    """
    complete = [r for r in records if r.state == "COMPLETE" and r.value is not None]
    return [_at(epoch, complete) for epoch in rungs]


def _at(epoch: int, records: Sequence[TrialRecord]) -> RungTrust:
    pairs = [(r.curve[epoch - 1]["best_so_far"], r.value) for r in records if len(r.curve) > epoch]
    early, final = zip(*pairs, strict=True) if pairs else ((), ())
    if len(pairs) < MIN_TRIALS or len(set(early)) == 1 or len(set(final)) == 1:
        return RungTrust(epoch, len(pairs), math.nan)
    return RungTrust(epoch, len(pairs), float(stats.spearmanr(early, final).statistic))
