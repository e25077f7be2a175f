"""Challenger against champion, on days that neither could know: the same statistics as between arms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from data.errors import DataError
from data.findings import counted
from model.metrics import rank_ic
from reports.daily import primary_horizon
from reports.inference.effect import Effect, effect_of_days, more_days
from reports.inference.verdict import EQUIVALENCE, Verdict, Word, verdicts
from reports.section import in_days, signed
from storage.bundle import BundleError
from trial.production.bundle import Bundle
from trial.production.panel import open_panel
from trial.production.scoring import Scorer

MIN_DAYS = 20
CHALLENGER = "challenger"


@dataclass(frozen=True)
class Contest:
    """Daily RankIC, challenger minus champion, over T days; the error is that of the days alone."""

    horizon: int  # trading days
    days: tuple[str, str]  # first and last, ISO
    levels: tuple[float, float]  # mean of champion and challenger
    verdict: Verdict

    @property
    def may_promote(self) -> bool:
        """Better, or no worse than a difference that nobody would act on."""
        return self.verdict.word is Word.HELPS or self.verdict.effect.interval(0.9)[0] > -EQUIVALENCE

    @property
    def sentence(self) -> str:
        """For people, and for the log."""
        found = self.verdict.effect
        low, high = found.interval(0.95)
        words = {Word.HELPS: "better", Word.HURTS: "worse"}.get(self.verdict.word, self._undecided(found))
        return (
            f"the challenger is {words}: {signed(found.mean)} ({signed(low)} .. {signed(high)}) daily RankIC at "
            f"{in_days(self.horizon)}, {signed(self.levels[1])} against {signed(self.levels[0])}, on {found.num_days} "
            f"days {self.days[0]} .. {self.days[1]} that neither could know"
        )

    def _undecided(self, found: Effect) -> str:
        if self.verdict.word is Word.NO_DIFFERENCE:
            return f"no more than {EQUIVALENCE:g} away"
        return f"not to be told apart yet (about {counted(more_days(found, EQUIVALENCE), 'more day')} would tell)"


def contest(champion: Bundle, challenger: Bundle, panel: Path, prepared: Path, console: Console) -> Contest:
    """Scores both on every day after what either could know, as far as labels are known.

    Raises:
        DataError: fewer than 20 such days.
        BundleError: they rank by other horizons.
    """
    if champion.networks.horizons != challenger.networks.horizons:
        raise BundleError("champion and challenger must have the same horizons to be compared, but they have others.")
    horizon = primary_horizon(champion.networks.horizons)
    fixed = max(champion.networks.judged_after, challenger.networks.judged_after)
    sides = [
        _daily(bundle, panel, prepared, np.datetime64(fixed), horizon, console) for bundle in (champion, challenger)
    ]
    days = sorted(sides[0].keys() & sides[1].keys())
    if len(days) < MIN_DAYS:
        raise DataError(
            f"a challenger is compared on {MIN_DAYS} days or more that neither could know and no sweep held out, but "
            f"after {fixed} there are {len(days)} whose labels are known. Wait, or promote it with --because."
        )
    base, own = (np.array([side[day] for day in days]) for side in sides)
    found = verdicts({CHALLENGER: effect_of_days(own - base, horizon)})[CHALLENGER]
    return Contest(horizon, (days[0], days[-1]), (float(base.mean()), float(own.mean())), found)


def _daily(
    bundle: Bundle, panel: Path, prepared: Path, fixed: np.datetime64, horizon: int, console: Console
) -> dict[str, float]:
    """Day -> RankIC, of days after `fixed`."""
    networks = bundle.networks
    store = open_panel(networks, panel, prepared, console, with_labels=True)
    scorer = Scorer(networks, store)
    first = max(scorer.first_day, int(np.searchsorted(store.dates, fixed, side="right")))
    k, least = networks.horizons.index(horizon), networks.members[0].config.data.min_stocks
    found = {}
    for scores in scorer.score(range(first, store.num_days)):
        label_N = np.asarray(store.labels[scores.day, scores.stocks, k])
        score_1N1 = scores.score_nK[None, :, k : k + 1]
        label_1N1 = label_N[None, :, None]
        value = float(rank_ic(score_1N1, label_1N1, np.isfinite(label_1N1), least)[0, 0])
        if np.isfinite(value):
            found[str(store.dates[scores.day])] = value
    return found
