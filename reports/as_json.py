"""The report's numbers as plain values, for programs: what the page says, without the page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from reports.deployment import Deployment, Standing, Winner, decide
from reports.evidence import Evidence, StudyEvidence
from reports.factorial import FactorialFindings, factorial_findings
from reports.inference.effect import Effect
from reports.inference.verdict import ALPHA, Verdict
from reports.judged import Judged, judge, short_word, word
from reports.luck import Luck, measure_luck
from reports.next_step import next_step
from storage.files import write_whole

STATES = ("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING")
STANDARD_OUTPUT = Path("-")


def as_json(evidence: Evidence) -> dict[str, Any]:
    """Everything that the report concludes. Skill is mean daily RankIC; intervals are of 95 %; what is not known, or is
    no finite number, is None.

    Returns:
        name: of the sweep.
        panel: name, key (of its content), first_date and last_date (of the days before the hold-out), holdout_from.
        counts: by study: num_complete, num_pruned, num_fail, num_running, num_waiting.
        tried: configurations and holdout_reads on this market, by anybody; None where no trial was scored.
        accepted_changes: of the studies' definitions, in words.
        best_search: trial and value of the best search trial; None without one.
        deployment: decision (yes, no, undecided), why, awaits_holdout (whether that is all that is missing), winner.
            winner: None without one; else arm, config_hash, horizon (trading days), search (mean on the search fold,
            which it was chosen by), luck (search minus confirm), confirm, holdout (None: not read for it).
            confirm, holdout: an effect (below), and predictors: by name, level (mean, standard_error, low, high) and
            winner_minus_it (an effect).
        search_luck: the fields of `reports.luck.Luck`; None where the search is too small.
        backtest: of the winner on the confirm folds (`trial/backtest_rows.py` has its fields); None without one.
        horizon: of the verdicts, in trading days; None without any finding.
        equivalence: X, a difference of daily RankIC that nobody would act on; None likewise.
        is_exploratory: whether arms were compared on the search's own days; None likewise.
        why_no_verdict: in words; None where there are verdicts.
        verdicts: by retuned arm: word (helps, hurts, no_difference, undecided), words (the report's), adjusted_p
            (Holm's), and an effect, of which low and high hold for all arms at once; word and words alone of an arm
            without an effect.
        num_open: confirm trials that are still to end, so that words may change; None without any finding.
        interactions: of a factorial design, by effect: words, adjusted_p (Benjamini and Hochberg's), aliases (what it
            cannot be told from), and an effect; empty without one.
        detectable: the true difference that would be found four times in five, in every retuned arm; None without one.
        next: command, and purpose (what it is for).
        exploratory: by other arm: kind (fixed, placebo, winner), words, adjusted_p (Benjamini and Hochberg's), and an
            effect.

        An effect is arm minus reference, or what its name says: mean, standard_error, degrees (of freedom), low and
        high, seeds, days (numbers of).
    """
    judged, found = judge(evidence.confirm), decide(evidence)
    best = evidence.search.best if evidence.search is not None else None
    content = {
        "name": evidence.name,
        "panel": _panel(evidence),
        "counts": {study.name: _counts(study) for study in evidence.studies},
        "tried": None if evidence.tried is None else evidence.tried._asdict(),
        "accepted_changes": [change for study in evidence.studies for change in study.accepted],
        "best_search": None if best is None else {"trial": best.number, "value": best.value},
        "deployment": _deployment(found),
        "next": next_step(evidence, found)._asdict(),
        "search_luck": _luck(measure_luck(evidence)),
        "backtest": evidence.backtest,
        "interactions": _interactions(factorial_findings(evidence.confirm)),
        **_findings(judged),
    }
    return {key: _plain(value) for key, value in content.items()}


def effect_as_json(found: Effect) -> dict[str, Any]:
    """With the 95 % interval of this effect alone."""
    low, high = found.interval(1 - ALPHA)
    return {
        "mean": found.mean,
        "standard_error": found.standard_error,
        "degrees": found.degrees,
        "low": low,
        "high": high,
        "seeds": found.num_seeds,
        "days": found.num_days,
    }


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Writes it to a file atomically; '-' is standard output."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if path == STANDARD_OUTPUT:
        typer.echo(text, nl=False)
    else:
        write_whole(path, text)


def _panel(evidence: Evidence) -> dict[str, Any]:
    about = evidence.any_study.attributes
    market = about.get("market", {})
    return {
        "name": about.get("panel_name"),
        "key": about.get("panel"),
        "first_date": market.get("first_date"),
        "last_date": market.get("last_date"),
        "holdout_from": about.get("holdout_from"),
    }


def _counts(study: StudyEvidence) -> dict[str, int]:
    return {f"num_{state.lower()}": study.count(state) for state in STATES}


def _deployment(found: Deployment) -> dict[str, Any]:
    return {
        "decision": found.decision,
        "why": found.why,
        "awaits_holdout": found.awaits_holdout,
        "winner": None if found.winner is None else _winner(found.winner),
    }


def _winner(winner: Winner) -> dict[str, Any]:
    return {
        "arm": winner.arm,
        "config_hash": winner.config_hash,
        "horizon": winner.horizon,
        "search": winner.search,
        "luck": winner.luck,
        "confirm": _standing(winner.confirm),
        "holdout": None if winner.holdout is None else _standing(winner.holdout),
    }


def _luck(found: Luck | str) -> dict[str, Any] | None:
    return None if isinstance(found, str) else asdict(found)


def _standing(standing: Standing) -> dict[str, Any]:
    predictors = {
        name: {"level": _level(level), "winner_minus_it": effect_as_json(standing.less[name])}
        for name, level in standing.levels.items()
    }
    return {**effect_as_json(standing.level), "predictors": predictors}


def _level(found: Effect) -> dict[str, Any]:
    """Of a simple predictor, which has no seeds."""
    return {key: value for key, value in effect_as_json(found).items() if key not in ("degrees", "seeds", "days")}


def _interactions(found: FactorialFindings | str) -> dict[str, Any]:
    if isinstance(found, str):
        return {}
    return {
        each.name: {
            "words": each.in_words,
            "adjusted_p": each.adjusted_p,
            "aliases": list(each.aliases),
            **effect_as_json(each.effect),
        }
        for each in found.effects
    }


def _findings(judged: Judged | str) -> dict[str, Any]:
    if isinstance(judged, str):
        return {
            "horizon": None,
            "equivalence": None,
            "is_exploratory": None,
            "why_no_verdict": judged,
            "detectable": None,
            "num_open": None,
            "verdicts": {},
            "exploratory": {},
        }
    return {
        "horizon": judged.horizon,
        "equivalence": judged.equivalence,
        "is_exploratory": judged.is_exploratory,
        "why_no_verdict": None if judged.family_size else "no arm has a tuning of its own",
        "detectable": judged.detectable,
        "num_open": judged.num_open,
        "verdicts": {arm: _verdict(verdict, judged.equivalence) for arm, verdict in judged.verdicts.items()}
        | {arm: {"word": "undecided", "words": judged.words[arm]} for arm in judged.missing},
        "exploratory": {
            arm: {"kind": found.kind, "words": found.in_words, "adjusted_p": found.adjusted_p}
            | effect_as_json(found.effect)
            for arm, found in judged.exploratory.items()
        },
    }


def _verdict(verdict: Verdict, equivalence: float) -> dict[str, Any]:
    return {
        "word": short_word(verdict).replace(" ", "_"),
        "words": word(verdict, equivalence),
        "adjusted_p": verdict.adjusted_p,
        **effect_as_json(verdict.effect),
        "low": verdict.low,
        "high": verdict.high,
    }


def _plain(value: Any) -> Any:
    """Without NaN and infinity, of which JSON knows nothing."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
