"""What the confirm stage will be able to find, told before it begins: from the variance of the tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from reports.daily import daily_pairs, primary_horizon
from reports.inference.effect import effect
from reports.inference.power import minimum_detectable, projected
from search_spaces.space import REFERENCE
from storage.record import TrialRecord
from trial.tuning import Tuned


@dataclass(frozen=True)
class Pilot:
    """Of the arms that get a verdict; a difference is of daily RankIC."""

    detectable: float  # found four times in five, by the least precise arm
    num_seeds: int  # that this is with
    num_days: int  # of all confirm folds together

    @property
    def in_words(self) -> str:
        return (
            f"with {self.num_seeds} seeds on {self.num_days} days a true difference of about {self.detectable:.4f} "
            f"would be found four times in five, going by the tuning"
        )

    def plain(self) -> dict[str, Any]:
        """As a study keeps it."""
        return asdict(self)


def pilot(
    records: Sequence[TrialRecord], best: Mapping[str, Tuned], horizons: Sequence[int], num_seeds: int, num_days: int
) -> Pilot | None:
    """From the reference and the retuned arms at their best draws; None where nothing was tuned.

    No sign is used, and no mean: the best draws were picked by it.

    Args:
        records: of the tuning.
        best: draws that are confirmed.
        horizons: of the market, in days.
        num_seeds: per arm and fold that the confirm stage begins with.
        num_days: scored days of all confirm folds.
    """
    horizon = primary_horizon(horizons)
    own = [record for record in records if _is_best(record, best)]
    pairs = daily_pairs(own, REFERENCE, horizon)
    found = [effect(each.d_ST, horizon) for each in pairs.values() if min(each.d_ST.shape) >= 2]
    if not found or num_seeds < 2:
        return None
    later = [projected(each, horizon, num_seeds, num_days) for each in found]
    return Pilot(max(minimum_detectable(each, len(later)) for each in later), num_seeds, num_days)


def _is_best(record: TrialRecord, best: Mapping[str, Tuned]) -> bool:
    arm = str(record.params["arm"])
    return arm in best and record.params.get("draw") == best[arm].draw
