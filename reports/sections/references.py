"""The search's winner, the reference and simple predictors, on the same confirm days and labels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reports.daily import Skill, by_seed, primary_horizon
from reports.evidence import Evidence
from reports.inference.effect import Effect, effect
from reports.inference.long_run import Array
from reports.inference.verdict import ALPHA
from reports.section import Section, paragraph, signed, table
from storage.references import Reference

TITLE = "Winner against simple predictors"
LEAD = (
    "Daily RankIC at {horizon} trading days on the confirm folds, and the winner's minus each: intervals are 95 %, of "
    "that line alone, and carry overlapping labels and seeds. Ridge and LightGBM see the last day's features; "
    "last_value ranks by the latest return that was over, random by lot. Exploratory."
)
LABEL = "the best of the search"


def build(evidence: Evidence) -> Section:
    if evidence.confirm is None:
        return _nothing("the confirm stage was not run")
    winner = (evidence.confirm.attributes.get("winner") or {}).get("arm")
    arm = winner or evidence.confirm.attributes["reference_arm"]
    horizons = evidence.confirm.attributes.get("horizons") or []
    if not horizons:
        return _nothing("no confirm trial has begun")
    horizon = primary_horizon(horizons)
    seeds = by_seed(evidence.confirm.compared, arm, horizon)
    if len(seeds) < 2:
        return _nothing(f"{arm} has fewer than two seeds on every fold")
    skills = _joined(evidence.references, horizon)
    if not skills:
        return _nothing("no simple predictor was fitted; the next start of the sweep does it")
    days = sorted(set.intersection(*map(set, [*seeds.values(), *skills.values()])))
    if len(days) < 2:
        return _nothing("winner and simple predictors share fewer than two days")
    own_ST = np.array([[skill[day] for day in days] for skill in seeds.values()])
    name = f"{arm} ({LABEL})" if winner else arm
    rows = [_row(name, effect(own_ST, horizon), None)]
    for reference, skill in skills.items():
        other_T = np.array([skill[day] for day in days])
        rows.append(_row(reference, _of_one(other_T, horizon), effect(own_ST - other_T, horizon)))
    headings = ("predictor", "RankIC", "95 % low", "95 % high", "winner minus it", "95 % low", "95 % high")
    told = f"{len(days)} days, {len(seeds)} seeds."
    return Section("references", TITLE, LEAD.format(horizon=horizon), (paragraph(told), table(headings, rows)))


def _joined(references: tuple[Reference, ...], horizon: int) -> Mapping[str, Skill]:
    """Name -> skill of all folds together; of a predictor without the horizon nothing."""
    skills: dict[str, Skill] = {}
    for one in references:
        if horizon in one.result["horizons"]:
            place = one.result["horizons"].index(horizon)
            daily = one.result["daily_rank_ic"]
            known = {day: values[place] for day, values in daily.items() if values[place] is not None}
            skills.setdefault(one.name, {}).update(known)
    return {name: skill for name, skill in skills.items() if skill}


def _of_one(daily_T: Array, horizon: int) -> Effect:
    """Of a predictor without seeds: the error of the days alone."""
    return effect(np.stack([daily_T, daily_T]), horizon)


def _row(name: str, level: Effect, less: Effect | None) -> tuple[str, ...]:
    own = (signed(level.mean), *map(signed, level.interval(1 - ALPHA)))
    other = ("", "", "") if less is None else (signed(less.mean), *map(signed, less.interval(1 - ALPHA)))
    return name, *own, *other


def _nothing(why: str) -> Section:
    return Section("references", TITLE, "On the same days and labels.", (paragraph(f"Nothing to show: {why}."),))
