"""Whether the winner of the search should be deployed: a rule, declared here, on numbers that it was not chosen by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from reports.daily import Skill, by_seed, daily_skill, primary_horizon, skill_at
from reports.evidence import Evidence, StudyEvidence
from reports.inference.effect import MIN_SEEDS, Effect, effect, effect_of_days
from reports.inference.long_run import Array
from reports.inference.verdict import ALPHA
from storage.record import TrialRecord
from storage.references import Reference

TO_BEAT = ("ridge", "lightgbm")


@dataclass(frozen=True)
class Standing:
    """A network's daily RankIC beside that of simple predictors, on the same days."""

    level: Effect
    levels: Mapping[str, Effect]  # of simple predictors
    less: Mapping[str, Effect]  # the network's minus theirs, day by day

    @property
    def beaten_by(self) -> list[str]:
        """Those to beat that did better, by the difference's own 95 % interval."""
        return [name for name in TO_BEAT if name in self.less and self.less[name].interval(1 - ALPHA)[1] < 0]

    @property
    def level_with(self) -> list[str]:
        """Those to beat that it cannot be told from, by the same interval."""
        return [name for name in TO_BEAT if name in self.less and _holds_zero(self.less[name])]


@dataclass(frozen=True)
class Winner:
    """The best of the search, on days that it was not chosen by."""

    arm: str  # that it is confirmed under
    config_hash: str
    horizon: int  # trading days
    search: float | None  # mean daily RankIC of the trial on the search fold, which it was chosen by
    confirm: Standing
    holdout: Standing | None  # None: not read, or read for another winner
    search_level: Effect | None = None  # of the same trial, by its days; that it was chosen by them is not in it
    search_levels: Mapping[str, Effect] = field(default_factory=dict)  # of simple predictors on the search fold

    @property
    def luck(self) -> float | None:
        """What the search promised beyond what came; None where its trial does not have the horizon."""
        return None if self.search is None else self.search - self.confirm.level.mean


@dataclass(frozen=True)
class Deployment:
    """The answer."""

    decision: Literal["yes", "no", "undecided"]
    why: str
    winner: Winner | None = None
    awaits_holdout: bool = False  # whether the hold-out is all that is missing


def decide(evidence: Evidence) -> Deployment:
    """Yes where the winner has skill on the confirm folds and is ahead of ridge and LightGBM there, each by its own
    95 % interval, and the hold-out agrees: its mean RankIC there is above zero, and neither beats it. No where it has
    none or is beaten, on the confirm folds or the hold-out. Else undecided."""
    winner = find_winner(evidence)
    if isinstance(winner, str):
        return Deployment("undecided", winner)
    confirm = winner.confirm
    low, high = confirm.level.interval(1 - ALPHA)
    if high <= 0:
        return Deployment("no", "it has no skill on days that it was not chosen by", winner)
    if confirm.beaten_by:
        return Deployment("no", f"{' and '.join(confirm.beaten_by)} did better on the same days", winner)
    if evidence.confirm is not None and evidence.confirm.attributes.get("exploratory", False):
        why = "there are no confirm folds, and the search chose it by the days it is scored on"
    elif confirm.level.num_seeds < MIN_SEEDS:
        why = f"it was confirmed with {confirm.level.num_seeds} seeds, and {MIN_SEEDS} are needed"
        why += _lost(evidence, winner)
    elif low <= 0:
        why = "its skill on days that it was not chosen by cannot be told from none"
    elif missing := [name for name in TO_BEAT if name not in confirm.less]:
        why = f"{' and '.join(missing)} was not fitted on the same days"
    elif confirm.level_with:
        why = f"it cannot be told from {' and '.join(confirm.level_with)} on the same days"
    else:
        return _by_holdout(winner)
    return Deployment("undecided", why, winner)


def _lost(evidence: Evidence, winner: Winner) -> str:
    """Trials of it that ended without a result, by whose seeds it is poorer."""
    records = evidence.confirm.compared if evidence.confirm is not None else []
    own = [record for record in records if record.arm == winner.arm and record.state in ("FAIL", "PRUNED")]
    told = [f"trial {record.number} of seed {record.seed} ended as {record.state} ({record.reason})" for record in own]
    return f"; {', '.join(told)}" if told else ""


def _by_holdout(winner: Winner) -> Deployment:
    """Of one that the confirm folds speak for."""
    holdout = winner.holdout
    if holdout is None:
        return Deployment("undecided", "the hold-out has not been read for it", winner, awaits_holdout=True)
    if holdout.level.mean <= 0:
        return Deployment("no", "on the hold-out it has no skill", winner)
    if holdout.beaten_by:
        return Deployment("no", f"on the hold-out {' and '.join(holdout.beaten_by)} did better", winner)
    if missing := [name for name in TO_BEAT if name not in holdout.less]:
        return Deployment("undecided", f"{' and '.join(missing)} was not fitted on the hold-out", winner)
    why = (
        "it has skill on days that it was not chosen by, is ahead of ridge and LightGBM there, and the hold-out agrees"
    )
    return Deployment("yes", why, winner)


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
    standing = _standing(confirm.compared, arm, horizon, evidence.references)
    if standing is None:
        return "the winner has fewer than two seeds on every confirm fold"
    config_hash = winning_record(confirm, arm).attributes["config_hash"]
    searched = _on_search(evidence, about["trial"], horizon)
    return Winner(
        arm,
        config_hash,
        horizon,
        None if searched is None else float(np.mean(searched)),
        standing,
        _on_holdout(evidence, config_hash, horizon),
        None if searched is None or len(searched) < 2 else effect_of_days(searched, horizon),
        _levels(evidence.search_references, horizon),
    )


def standing_at(evidence: Evidence, arm: str, horizon: int) -> Standing | None:
    """Of an arm on the confirm folds, at any horizon; None where fewer than two seeds are COMPLETE on all of them."""
    if evidence.confirm is None:
        return None
    return _standing(evidence.confirm.compared, arm, horizon, evidence.references)


def winning_record(confirm: StudyEvidence, arm: str) -> TrialRecord:
    """A confirm trial of the winner, the newest: its configuration is what is deployed."""
    return [record for record in confirm.compared if record.arm == arm and record.state == "COMPLETE"][-1]


def _on_holdout(evidence: Evidence, config_hash: str, horizon: int) -> Standing | None:
    holdout = evidence.holdout
    about = holdout.attributes.get("winner") if holdout is not None else None
    if holdout is None or about is None or about["config_hash"] != config_hash:
        return None
    own = [record for record in holdout.compared if record.attributes.get("config_hash") == about["trained_hash"]]
    return _standing(own, about["arm"], horizon, evidence.holdout_references)


def _standing(
    records: Sequence[TrialRecord], arm: str, horizon: int, references: tuple[Reference, ...]
) -> Standing | None:
    """None where fewer than two seeds are COMPLETE on every fold. A predictor that was not fitted on all is left
    out, and who ranks nothing on a day that another one ranked has no skill on it."""
    seeds = by_seed(records, arm, horizon)
    folds = {str(record.fold) for record in records if record.arm == arm}
    skills = _fitted_on_all(references, folds, horizon)
    days = sorted(set[str]().union(*seeds.values(), *skills.values()))
    if len(seeds) < 2 or len(days) < 2:
        return None
    own_ST = np.array([[skill.get(day, 0.0) for day in days] for skill in seeds.values()])
    others = {name: np.array([skill.get(day, 0.0) for day in days]) for name, skill in skills.items()}
    return Standing(
        effect(own_ST, horizon),
        {name: effect_of_days(other_T, horizon) for name, other_T in others.items()},
        {name: effect(own_ST - other_T, horizon) for name, other_T in others.items()},
    )


def _fitted_on_all(references: tuple[Reference, ...], folds: set[str], horizon: int) -> dict[str, Skill]:
    own = [one for one in references if one.fold in folds and horizon in one.result["horizons"]]
    whole = {one.name for one in own if folds == {other.fold for other in own if other.name == one.name}}
    known = skill_of(tuple(own), horizon)
    return {name: known.get(name, {}) for name in sorted(whole)}


def skill_of(references: tuple[Reference, ...], horizon: int) -> dict[str, Skill]:
    """Name -> daily skill of all folds together; nothing of a predictor without the horizon."""
    skills: dict[str, Skill] = {}
    for one in references:
        known = skill_at(horizon, one.result["horizons"], one.result["daily_rank_ic"])
        skills.setdefault(one.name, {}).update(known)
    return {name: skill for name, skill in skills.items() if skill}


def _on_search(evidence: Evidence, number: int, horizon: int) -> Array | None:
    """Daily skill of the trial that was picked, in calendar order."""
    records: list[TrialRecord] = evidence.search.records if evidence.search is not None else []
    for record in records:
        if record.number == number and (skill := daily_skill(record, horizon)):
            return np.array([skill[day] for day in sorted(skill)])
    return None


def _levels(references: tuple[Reference, ...], horizon: int) -> dict[str, Effect]:
    known = {name: [skill[day] for day in sorted(skill)] for name, skill in skill_of(references, horizon).items()}
    return {name: effect_of_days(np.array(values), horizon) for name, values in known.items() if len(values) > 1}


def _holds_zero(found: Effect) -> bool:
    low, high = found.interval(1 - ALPHA)
    return low <= 0 <= high
