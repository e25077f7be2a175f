"""Equal tuning: the reference and each retuned arm try the same points on the search fold, and each takes its best."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import qmc

from reports.daily import DailyPairs, daily_pairs, primary_horizon
from reports.factorial import find_effects
from reports.inference.effect import effect, needs_seeds
from search_spaces.config import TrialConfig, validated
from search_spaces.knob import Knob, points_at
from search_spaces.space import REFERENCE, SearchSpace
from storage.record import TrialRecord, read_records
from storage.study import StudyStore

TUNE_SEEDS = 2  # per arm and point: the best of one seed would be the luckiest
MAX_DRAWS = 64  # a parameter keeps its range for ever
FIXED = ".fixed"  # ends the name of a retuned arm that has the reference's hyper-parameters
WINNER = "winner"


def quasi_random_points(knobs: Sequence[Knob], number: int, seed: int) -> list[dict[str, Any]]:
    """The first points of a scrambled Sobol sequence (Owen 1998); more of them begin with the same ones.

    Args:
        knobs: one dimension each.
        number: M, 0 to `MAX_DRAWS`; a power of two is spread most evenly.
        seed: of the scrambling.
    """
    if not number or not knobs:
        return []
    sequence = qmc.Sobol(len(knobs), scramble=True, rng=seed)
    return points_at(knobs, sequence.random_base2(MAX_DRAWS.bit_length() - 1)[:number])


@dataclass(frozen=True)
class Tuned:
    """An arm's best draw."""

    draw: int
    value: float  # mean RankIC of the seeds on the search fold


def best_draws(records: Sequence[TrialRecord], tuned: Mapping[str, Sequence[TrialConfig]]) -> dict[str, Tuned]:
    """By arm, the draw of the highest mean over `TUNE_SEEDS` seeds, the earliest of equals.

    An arm without a draw that completed all its seeds is left out; a trial of another configuration (of an earlier
    definition of the study) does not count.
    """
    values: dict[tuple[str, int], dict[int, float]] = {}
    for record in records:
        if record.state == "COMPLETE" and record.value is not None and _is_of(record, tuned):
            cell = record.params["arm"], record.params["draw"]
            values.setdefault(cell, {})[record.params["seed"]] = record.value
    means = {cell: statistics.fmean(seeds.values()) for cell, seeds in values.items() if len(seeds) >= TUNE_SEEDS}
    return {arm: best for arm in tuned if (best := _best(means, arm)) is not None}


def _is_of(record: TrialRecord, tuned: Mapping[str, Sequence[TrialConfig]]) -> bool:
    configs, draw = tuned.get(record.params["arm"], ()), record.params["draw"]
    return draw < len(configs) and record.attributes.get("config_hash") == configs[draw].hash


def _best(means: Mapping[tuple[str, int], float], arm: str) -> Tuned | None:
    own = {draw: mean for (of, draw), mean in means.items() if of == arm and math.isfinite(mean)}
    if not own:
        return None
    draw = min(own, key=lambda each: (-own[each], each))
    return Tuned(draw, own[draw])


@dataclass(frozen=True)
class ConfirmArm:
    """What is confirmed under a name."""

    config: TrialConfig
    kind: str  # reference, retuned, fixed, placebo, run (of a design), winner
    summary: str


def confirm_arms(
    space: SearchSpace,
    untuned: Mapping[str, TrialConfig],
    tuned: Mapping[str, Sequence[TrialConfig]],
    points: Sequence[Mapping[str, Any]],
    best: Mapping[str, Tuned],
) -> dict[str, ConfirmArm]:
    """The reference at its best draw, the retuned arms at theirs, every arm at the reference's.

    Args:
        space: that the arms are of.
        untuned: reference and arms before any tuning.
        tuned: of the reference and the retuned arms, by draw; empty where nothing is retuned.
        points: that the draws are.
        best: draws of the reference and of the retuned arms; one that has none is confirmed as fixed alone.
    """
    if not tuned:
        base, at_reference = untuned[REFERENCE], dict(untuned)
    else:
        own = best[REFERENCE].draw
        base = tuned[REFERENCE][own]
        at_reference = {name: space.at_point(config, points[own]) for name, config in untuned.items()}
    arms = {REFERENCE: ConfirmArm(base, "reference", "all switches on")}
    for name, arm in space.arms.items():
        fixed = at_reference[name]
        if name in tuned and name in best:
            retuned = tuned[name][best[name].draw]
            arms[name] = ConfirmArm(retuned, "retuned", arm.summary)
            if retuned.hash != fixed.hash:
                twin = f"{name}{FIXED}"
                arms[twin] = ConfirmArm(fixed.replace(arm=twin), "fixed", f"{arm.summary}; the reference's tuning")
        else:
            arms[name] = ConfirmArm(fixed, arm.kind, arm.summary)
    return arms


def with_winner(
    arms: Mapping[str, ConfirmArm], best: TrialRecord | None
) -> tuple[dict[str, ConfirmArm], dict[str, Any] | None]:
    """The best search trial is one more row, never what the others are measured by.

    Returns:
        The arms with it, and what the report is to know: the trial, and the arm that it is, under its own name where
        it is the configuration of another; None where no trial is COMPLETE.
    """
    if best is None:
        return dict(arms), None
    config = validated(best.config)
    for name, arm in arms.items():
        if arm.config.hash == config.hash:
            return dict(arms), {"trial": best.number, "arm": name}
    own = ConfirmArm(config.replace(arm=WINNER), "winner", f"trial {best.number}, the best of the search")
    return {**arms, WINNER: own}, {"trial": best.number, "arm": WINNER}


def needs_more_seeds(study: StudyStore, arms: Mapping[str, ConfirmArm], design: Mapping[str, Any] | None) -> bool:
    """Whether the seeds are much of an effect's error, for the arms that get a verdict; no sign is looked at.

    Args:
        study: of the confirm stage.
        arms: that it confirms.
        design: that they are the runs of, as a study keeps it; then its effects are looked at.
    """
    hashes = {name: arm.config.hash for name, arm in arms.items()}
    known = read_records(study.storage, study.name)
    records = [r for r in known if r.is_comparable and hashes.get(str(r.arm)) == r.attributes.get("config_hash")]
    horizon = primary_horizon(arms[REFERENCE].config.data.horizons)
    if design is not None:
        found = find_effects(records, design["levels"], design["aliases"], horizon)
        return not isinstance(found, str) and any(needs_seeds(each.effect) for each in found.effects)
    judged = {name for name, arm in arms.items() if arm.kind == "retuned"} or {*arms} - {REFERENCE}
    pairs = daily_pairs(records, REFERENCE, horizon)
    effects = [effect(each.d_ST, horizon) for name, each in pairs.items() if name in judged and _is_enough(each)]
    return any(map(needs_seeds, effects))


def _is_enough(pairs: DailyPairs) -> bool:
    return len(pairs.d_ST) >= 2 and len(pairs.days) >= 2
