"""Whether the winner of the search should be deployed: a rule, declared here, on numbers that it was not chosen by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reports.daily import Skill, by_seed, daily_skill, primary_horizon, skill_at
from reports.evidence import Evidence
from reports.inference.effect import MIN_SEEDS, Effect, effect
from reports.inference.long_run import Array
from reports.inference.verdict import ALPHA
from storage.record import TrialRecord
from storage.references import Reference

TO_BEAT = ("ridge", "lightgbm")


@dataclass(frozen=True)
class Winner:
    """The best of the search on the confirm folds, beside simple predictors on the same days."""

    arm: str  # that it is confirmed under
    horizon: int  # trading days
    search: float | None  # mean daily RankIC of the trial on the search fold, which it was chosen by
    level: Effect  # its daily RankIC on the confirm folds
    levels: Mapping[str, Effect]  # of simple predictors
    less: Mapping[str, Effect]  # the winner's minus each

    @property
    def luck(self) -> float | None:
        """What the search promised and the confirm folds did not keep."""
        return None if self.search is None else self.search - self.level.mean


@dataclass(frozen=True)
class Deployment:
    """The answer, and the reason that decided."""

    decision: Literal["yes", "no", "undecided"]
    why: str
    winner: Winner | None = None


def decide(evidence: Evidence) -> Deployment:
    """No where the winner has no skill, or ridge or LightGBM beats it, each by its own 95 % interval on the confirm
    folds; else undecided, since yes needs the hold-out, which nothing reads yet."""
    winner = find_winner(evidence)
    if isinstance(winner, str):
        return Deployment("undecided", winner)
    low, high = winner.level.interval(1 - ALPHA)
    beaten_by = [name for name in TO_BEAT if name in winner.less and winner.less[name].interval(1 - ALPHA)[1] < 0]
    level_with = [name for name in TO_BEAT if name in winner.less and winner.less[name].interval(1 - ALPHA)[0] <= 0]
    if high <= 0:
        return Deployment("no", "it has no skill on days that it was not chosen by", winner)
    if beaten_by:
        return Deployment("no", f"{' and '.join(beaten_by)} did better on the same days", winner)
    if winner.level.num_seeds < MIN_SEEDS:
        why = f"it was confirmed with {winner.level.num_seeds} seeds, and {MIN_SEEDS} are needed"
    elif low <= 0:
        why = "its skill on days that it was not chosen by cannot be told from none"
    elif missing := [name for name in TO_BEAT if name not in winner.less]:
        why = f"{' and '.join(missing)} was not fitted on the same days"
    elif level_with:
        why = f"it cannot be told from {' and '.join(level_with)} on the same days"
    else:
        why = "the hold-out has not been read"
    return Deployment("undecided", why, winner)


def find_winner(evidence: Evidence) -> Winner | str:
    """The numbers, or in words why there are none."""
    confirm = evidence.confirm
    if confirm is None:
        return "the confirm stage was not run"
    about = confirm.attributes.get("winner")
    if about is None:
        return "no search trial was confirmed: the best of a search is what is deployed"
    if not (horizons := confirm.attributes.get("horizons")):
        return "no confirm trial has begun"
    arm, horizon = str(about["arm"]), primary_horizon(horizons)
    seeds = by_seed(confirm.compared, arm, horizon)
    skills = skill_of(evidence.references, horizon)
    days = sorted(set.intersection(*map(set, [*seeds.values(), *skills.values()]))) if seeds else []
    if len(seeds) < 2 or len(days) < 2:
        return "the winner has fewer than two seeds on every confirm fold"
    own_ST = np.array([[skill[day] for day in days] for skill in seeds.values()])
    others = {name: np.array([skill[day] for day in days]) for name, skill in skills.items()}
    return Winner(
        arm,
        horizon,
        _on_search(evidence, about["trial"], horizon),
        effect(own_ST, horizon),
        {name: _of_one(other_T, horizon) for name, other_T in others.items()},
        {name: effect(own_ST - other_T, horizon) for name, other_T in others.items()},
    )


def skill_of(references: tuple[Reference, ...], horizon: int) -> dict[str, Skill]:
    """Name -> daily skill of all folds together; nothing of a predictor without the horizon."""
    skills: dict[str, Skill] = {}
    for one in references:
        known = skill_at(horizon, one.result["horizons"], one.result["daily_rank_ic"])
        skills.setdefault(one.name, {}).update(known)
    return {name: skill for name, skill in skills.items() if skill}


def _on_search(evidence: Evidence, number: int, horizon: int) -> float | None:
    records: list[TrialRecord] = evidence.search.records if evidence.search is not None else []
    for record in records:
        if record.number == number and (skill := daily_skill(record, horizon)):
            return float(np.mean(list(skill.values())))
    return None


def _of_one(daily_T: Array, horizon: int) -> Effect:
    """Of a predictor without seeds: the error of the days alone."""
    return effect(np.stack([daily_T, daily_T]), horizon)
