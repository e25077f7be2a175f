"""The monitor's findings, each in one sentence: ok, to be watched, an alarm, or not known and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from reports.monitoring.band import chance_of_alarm, year_bound
from reports.monitoring.drift import Drift
from reports.monitoring.observed import LiveSkill, Observed
from reports.monitoring.thresholds import Thresholds
from reports.section import signed

State = Literal["ok", "unknown", "watch", "alarm"]
ORDER: tuple[State, ...] = ("ok", "unknown", "watch", "alarm")
SHOWN = 3  # columns that a sentence names


class Check(NamedTuple):
    name: str
    state: State
    sentence: str


def check(observed: Observed, limits: Thresholds) -> list[Check]:
    """Every check, in the order of the page."""
    return [
        _drift("features", observed.features, limits),
        _drift("scores", observed.scores, limits),
        _skill(observed.skill, limits),
        _coverage(observed, limits),
        _sectors(observed),
        _spread(observed, limits),
        _memory(observed, limits),
    ]


def worst(checks: Sequence[Check]) -> State:
    """What the morning comes to; what is not known is not held against it."""
    return max((check.state for check in checks if check.state != "unknown"), key=ORDER.index, default="unknown")


def _drift(name: str, found: Drift | str, limits: Thresholds) -> Check:
    """An alarm is both: larger than matters, and larger than ever before, over a past that is long enough to say so."""
    if isinstance(found, str):
        return Check(name, "unknown", found)
    columns = found.columns
    matters = columns[(columns["psi"] >= limits.psi) | (columns["ks"] >= limits.ks)]
    news = matters[matters["alike"] == 0]
    listed = ", ".join(f"{column} (PSI {row.psi:.2f}, KS {row.ks:.2f})" for column, row in news[:SHOWN].iterrows())
    listed += f" and {len(news) - SHOWN} more" if len(news) > SHOWN else ""
    past = f"{found.num_alike} of {found.num_stretches} earlier periods had a column that stood out as much"
    is_rare = found.p_value <= limits.p_value
    if len(news) and found.num_alike == 0:
        told = f"{listed} drifted as never before; {past}"
        return Check(name, "alarm", told) if is_rare else Check(name, "watch", f"{told}, too few to be sure")
    if is_rare:
        first = columns.iloc[0]
        told = f"{columns.index[0]} stands out: PSI {first.psi:.2f}, usually up to {first.usual_psi:.2f}"
        return Check(name, "watch", f"{told}; {past}")
    return Check(name, "ok", f"nothing stands out: {past}")


def _skill(skill: LiveSkill | str, limits: Thresholds) -> Check:
    if isinstance(skill, str):
        return Check("RankIC", "unknown", skill)
    known = skill.rank_ic[np.isfinite(skill.rank_ic)]
    window, expected = limits.rank_ic_days, skill.expected
    if len(known) < window:
        return Check("RankIC", "unknown", f"{len(known)} of the {window} days that a judgement needs are known")
    last = float(known[-window:].mean())
    bound = year_bound(window, expected.horizon)
    limit, single = expected.lower_limit(window, bound), expected.lower_limit(window, 1.645)
    told = (
        f"{signed(last)} over the last {window} days at {expected.horizon}, {signed(expected.mean)} expected; "
        f"19 years in 20 stay above {signed(limit)} on every morning, and were all skill lost, "
        f"{chance_of_alarm(expected, window, 0.0):.0%} of years would have a morning below it"
    )
    state: State = "alarm" if last < limit else "watch" if last < single else "ok"
    return Check("RankIC", state, told)


def _coverage(observed: Observed, limits: Thresholds) -> Check:
    share = observed.num_stocks / observed.usual_stocks if observed.usual_stocks else 0.0
    state: State = "alarm" if share < limits.coverage_alarm else "watch" if share < limits.coverage_watch else "ok"
    told = f"{observed.num_stocks} stocks are scored, usually {observed.usual_stocks:.0f}; {observed.num_new} are new"
    return Check("coverage", state, told)


def _sectors(observed: Observed) -> Check:
    grown = observed.unknown_sectors - observed.usual_unknown
    told = f"{observed.unknown_sectors:.0%} of the stocks are of a sector that the network does not know"
    return Check("sectors", "watch" if grown > 0.05 else "ok", f"{told}, usually {observed.usual_unknown:.0%}")


def _spread(observed: Observed, limits: Thresholds) -> Check:
    if observed.usual_spread is None:
        return Check("spread", "unknown", "the bundle has no day that its networks were scored on")
    times = observed.spread / observed.usual_spread if observed.usual_spread else 0.0
    told = f"the day's scores spread {observed.spread:.3g}, {times:.2f} times what they do usually"
    return Check("spread", "alarm" if times < limits.spread_alarm else "ok", told)


def _memory(observed: Observed, limits: Thresholds) -> Check:
    told = f"{observed.memory_mib:.0f} MiB at most, {limits.memory_mib:.0f} allowed"
    return Check("memory", "alarm" if observed.memory_mib > limits.memory_mib else "ok", told)
