"""Looks at networks on a panel: scores its last days, and gathers what the monitor's checks are about."""

from __future__ import annotations

import datetime as dt
import resource

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from data.findings import counted
from data.store import MarketStore
from model.metrics import rank_ic
from reports.daily import primary_horizon
from reports.monitoring.band import Expected
from reports.monitoring.drift import Drift, count, drift, edges_of
from reports.monitoring.observed import LiveSkill, Observed
from trial.production.baseline import LEAST_STRETCHES, STRETCH
from trial.production.bundle import Bundle
from trial.production.expectation import EXPECTED, read_expectation
from trial.production.networks import Networks
from trial.production.scoring import Scorer, together

MOST_LIVE_DAYS = 504  # the last two years of them


def observe(bundle: Bundle, store: MarketStore, day: int) -> Observed:
    """Of a day of the store and the days before it; nothing later is looked at.

    Args:
        bundle: whose chosen set is looked at.
        store: of a panel that was opened with labels, where there are any.
        day: position in the store.

    Raises:
        BundleError: a score is not finite.
    """
    networks = bundle.networks
    scorer = Scorer(networks, store)
    stretch = range(max(scorer.first_day, day - STRETCH + 1), day + 1)
    live = range(max(scorer.first_day, _first_after(store, networks.judged_after), day + 1 - MOST_LIVE_DAYS), day + 1)
    scores = _Scores(scorer, range(min(stretch.start, live.start), day + 1))
    primary = networks.horizons.index(primary_horizon(networks.horizons))
    past = _past_scores(networks)
    return Observed(
        bundle=str(bundle),
        weights=networks.name,
        learned=networks.trained_through.isoformat(),
        day=str(store.dates[day]),
        stretch=(str(store.dates[stretch.start]), str(store.dates[day])),
        num_learned=max(0, _first_after(store, networks.trained_through) - stretch.start),
        features=_features(networks, store, stretch),
        scores=_drift_of_scores(networks, past, scores.rows(stretch)),
        skill=_skill(read_expectation(bundle.folder / EXPECTED), networks, store, live, scores),
        num_stocks=int(np.asarray(store.eligible[day]).sum()),
        usual_stocks=networks.baseline.num_stocks,
        num_new=_num_new(store, day, _first_after(store, networks.known_through)),
        unknown_sectors=_unknown(networks, store, range(day, day + 1)),
        usual_unknown=_unknown(networks, store, _last_known(networks, store)),
        spread=float(scores.rows(range(day, day + 1))[:, primary].std()),
        usual_spread=float(np.median([rows[:, primary].std() for rows in past])) if past else None,
        memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


class _Scores:
    """[days, N, K] of a range of days, NaN outside the universe."""

    def __init__(self, scorer: Scorer, days: range) -> None:
        shape = (len(days), len(scorer.store.codes), len(scorer.networks.horizons))
        self._start, self._table = days.start, np.full(shape, np.nan, np.float32)
        for scored in scorer.score(days):
            self._table[scored.day - days.start, scored.stocks] = scored.score_nK

    def table(self, days: range) -> np.ndarray:
        return self._table[days.start - self._start : days.stop - self._start]

    def rows(self, days: range) -> np.ndarray:
        """[n, K] of the stock-days that were scored."""
        table = self.table(days)
        return table[np.isfinite(table).all(axis=2)]


def _first_after(store: MarketStore, date: dt.date) -> int:
    return int(np.searchsorted(store.dates, np.datetime64(date), side="right"))


def _last_known(networks: Networks, store: MarketStore) -> range:
    """The last stretch of days that was there when the networks were exported, as far as the panel has it."""
    stop = _first_after(store, networks.known_through)
    return range(max(0, stop - STRETCH), stop)


def _features(networks: Networks, store: MarketStore, stretch: range) -> Drift | str:
    baseline = networks.baseline
    if len(baseline.counts) < LEAST_STRETCHES:
        return _too_few(len(baseline.counts), "it learned from")
    return drift(baseline.names, baseline.counts, baseline.count(store, stretch))


def _drift_of_scores(networks: Networks, past: list[np.ndarray], now_nK: np.ndarray) -> Drift | str:
    """Against the days that its members were scored on, which they had not learned from."""
    stretches = [np.concatenate(past[i : i + STRETCH]) for i in range(len(past) % STRETCH, len(past), STRETCH)]
    if len(stretches) < LEAST_STRETCHES:
        return _too_few(len(stretches), "it was scored on")
    edges = edges_of(np.concatenate(stretches))
    names = [f"score_{horizon}d" for horizon in networks.horizons]
    return drift(names, np.stack([count(rows, edges) for rows in stretches]), count(now_nK, edges))


def _too_few(number: int, days: str) -> str:
    return f"the days that {days} make {counted(number, 'period')} of {STRETCH}, and {LEAST_STRETCHES} are needed"


def _past_scores(networks: Networks) -> list[np.ndarray]:
    """[n, K] by day, of the days that every member was scored on; none of a set that nobody has scored."""
    if not networks.was_scored:
        return []
    columns = [f"score_{horizon}d" for horizon in networks.horizons]
    tables = [pq.read_table(member.predictions).to_pandas().set_index(["date", "code"]) for member in networks.members]
    frame = pd.concat([table[columns] for table in tables], axis=1, keys=range(len(tables)), join="inner").sort_index()
    return [
        together([day[place].to_numpy(np.float32) for place in range(len(tables))], networks.shares)
        for _, day in frame.groupby(level="date")
    ]


def _skill(
    expected: Expected | None, networks: Networks, store: MarketStore, live: range, scores: _Scores
) -> LiveSkill | str:
    if expected is None:
        return "the bundle does not say what to expect"
    if not len(live):
        return f"days after {networks.judged_after} are needed, neither known nor held out, up to the one asked"
    k = networks.horizons.index(expected.horizon)
    label_DN = np.asarray(store.labels[live.start : live.stop, :, k]).copy()
    reach = networks.members[0].config.data.delay + expected.horizon
    label_DN[max(0, len(live) - reach) :] = np.nan  # known later than the day
    if not np.isfinite(label_DN).any():
        return f"no label of a day after {networks.judged_after} is known yet, or the panel has none"
    score_DN = scores.table(live)[..., k]
    mask = np.isfinite(score_DN) & np.isfinite(label_DN)
    least = networks.members[0].config.data.min_stocks
    daily = rank_ic(score_DN[..., None], label_DN[..., None], mask[..., None], least)
    return LiveSkill([str(date) for date in store.dates[live.start : live.stop]], daily[:, 0], expected)


def _num_new(store: MarketStore, day: int, first: int) -> int:
    """Stocks of the day that had no row before `first`."""
    before = np.asarray(store.present[:first]).any(axis=0)
    return int((np.asarray(store.eligible[day]) & ~before).sum())


def _unknown(networks: Networks, store: MarketStore, days: range) -> float:
    """Share of stock-days."""
    span = slice(days.start, days.stop)
    codes = networks.contract.sector_codes(store)[np.asarray(store.sector[span])]
    eligible = np.asarray(store.eligible[span])
    return float((codes[eligible] == 0).mean()) if eligible.any() else 0.0
