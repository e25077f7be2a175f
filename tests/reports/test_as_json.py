"""The report's numbers as plain values: those of the findings, and nothing that JSON cannot say."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from reports.as_json import as_json, effect_as_json, write_json
from reports.deployment import decide
from reports.evidence import Evidence, read_evidence
from reports.inference.effect import Effect
from reports.inference.verdict import Verdict, Word
from reports.judged import Judged, judge, short_word
from storage.ledger import Tried
from storage.study import StudyStore
from tests.reports.conftest import add_trial, make_study
from tests.reports.test_deployment import GOOD, with_holdout

NAMED = ("counts", "predictors", "verdicts", "exploratory", "interactions")  # whose keys are names


def keys_of(value: Any) -> Iterator[str]:
    """Every key, but the names of arms, predictors and studies."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            named = each.values() if key in NAMED else [each]
            for inner in named:
                yield from keys_of(inner)


def judged_of(evidence: Evidence) -> Judged:
    judged = judge(evidence.confirm)
    assert isinstance(judged, Judged)
    return judged


def test_it_is_what_the_findings_are(
    storage: RDBStorage, search: StudyStore, tune: StudyStore, confirm: StudyStore
) -> None:
    evidence = read_evidence(storage, "demo")
    found, judged = as_json(evidence), judged_of(evidence)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["name"] == "demo"
    days = {"first_date": "2020-01-01", "last_date": "2021-12-31", "holdout_from": "2021-10-01"}
    assert found["panel"] == {"name": "market.parquet", "key": None} | days
    assert found["best_search"] == {"trial": 1, "value": 0.05}
    assert (found["horizon"], found["equivalence"]) == (5, judged.equivalence)
    assert found["why_no_verdict"] is None
    assert found["accepted_changes"] == []
    (own,), verdict = found["verdicts"].values(), judged.verdicts["no_gat"]
    assert list(found["verdicts"]) == ["no_gat"]
    assert own["word"] == "undecided"
    assert own["words"] == "undecided: fewer than 5 seeds"
    assert own["mean"] == pytest.approx(-0.0105)
    assert (own["low"], own["high"], own["adjusted_p"]) == (verdict.low, verdict.high, verdict.adjusted_p)
    assert (own["standard_error"], own["degrees"]) == (verdict.effect.standard_error, verdict.effect.degrees)
    assert (own["seeds"], own["days"]) == (2, 56)
    assert {arm: each["kind"] for arm, each in found["exploratory"].items()} == {"shuffled": "placebo"}
    shuffled = found["exploratory"]["shuffled"]
    assert shuffled["mean"] == pytest.approx(-0.005)
    assert shuffled["words"] == judged.exploratory["shuffled"].in_words
    assert shuffled["adjusted_p"] == judged.exploratory["shuffled"].adjusted_p
    assert found["interactions"]["gat"]["mean"] == pytest.approx(-found["verdicts"]["no_gat"]["mean"])
    counted = dict.fromkeys(("num_complete", "num_pruned", "num_fail", "num_running", "num_waiting"), 0)
    assert found["counts"]["demo"] == counted | {"num_complete": 4, "num_pruned": 2, "num_fail": 1}
    assert found["counts"]["demo.tune"] == counted | {"num_complete": 7, "num_fail": 1}
    assert all(re.fullmatch("[a-z][a-z0-9_]*", key) for key in keys_of({**found, "counts": {}, "backtest": {}}))
    assert found["search_luck"]["trial"] == 1
    assert found["search_luck"]["raw"]["num_trials"] == 4
    assert found["backtest"]["sides"]["long_short"]["break_even_bps"] == 23.4


def test_the_winner_stands_with_its_intervals_beside_simple_predictors() -> None:
    evidence = with_holdout(GOOD, 0.04, 0.03)
    found, decided = as_json(evidence)["deployment"], decide(evidence)
    assert decided.winner is not None
    assert decided.winner.holdout is not None
    assert (found["decision"], found["why"], found["awaits_holdout"]) == ("yes", decided.why, False)
    winner = found["winner"]
    assert (winner["arm"], winner["config_hash"], winner["horizon"]) == ("winner", "own", 5)
    assert winner["search"] == pytest.approx(0.2)
    assert winner["luck"] == winner["search"] - winner["confirm"]["mean"]
    for stage, standing in (("confirm", decided.winner.confirm), ("holdout", decided.winner.holdout)):
        own = winner[stage]
        assert (own["low"], own["high"]) == standing.level.interval(0.95)
        assert (own["mean"], own["seeds"], own["days"]) == (standing.level.mean, 5, 250)
        assert set(own["predictors"]) == {"ridge", "lightgbm"}
        ridge = own["predictors"]["ridge"]
        assert ridge["winner_minus_it"] == effect_as_json(standing.less["ridge"])
        assert ridge["level"]["mean"] == standing.levels["ridge"].mean
        assert set(ridge["level"]) == {"mean", "standard_error", "low", "high"}


def test_what_is_missing_is_none_and_says_why(storage: RDBStorage) -> None:
    make_study(storage, "demo")
    found = as_json(read_evidence(storage, "demo"))
    assert found["why_no_verdict"] == "the confirm stage was not run"
    assert found["deployment"]["why"] == "the confirm stage was not run"
    for name in ("best_search", "tried", "horizon", "equivalence"):
        assert found[name] is None, name
    assert found["deployment"]["winner"] is None
    assert found["verdicts"] == found["exploratory"] == found["interactions"] == {}


def test_what_is_no_finite_number_is_none(search: StudyStore, confirm: StudyStore, storage: RDBStorage) -> None:
    evidence = read_evidence(storage, "demo")
    assert evidence.search is not None
    best = replace(evidence.search.records[1], value=math.inf)
    found = as_json(replace(evidence, search=replace(evidence.search, records=[best])))
    assert found["best_search"] == {"trial": 1, "value": None}


def test_the_ledger_and_accepted_changes_are_told(storage: RDBStorage, search: StudyStore) -> None:
    definition = {"space": "gat_ablation", "panel": "p", "store": "s", "configuration": "c", "cells": "other"}
    search.define(definition, 2, accept=True)
    add_trial(search, [0.01], TrialState.COMPLETE, "complete")
    evidence = replace(read_evidence(storage, "demo"), tried=Tried(26, 1))
    found = as_json(evidence)
    assert found["accepted_changes"] == ["demo, from trial 7 on: cells: None -> other"]
    assert found["tried"] == {"configurations": 26, "holdout_reads": 1}
    assert found["best_search"] == {"trial": 7, "value": 0.01}


@pytest.mark.parametrize(
    ("word", "seeds", "told"),
    [
        (Word.HELPS, 5, "helps"),
        (Word.HURTS, 5, "hurts"),
        (Word.NO_DIFFERENCE, 5, "no difference"),
        (Word.UNDECIDED, 5, "undecided"),
        (Word.HURTS, 4, "undecided"),
    ],
)
def test_a_word_needs_its_seeds(word: Word, seeds: int, told: str) -> None:
    assert short_word(Verdict(word, Effect(-0.02, 1e-6, 1e-6, 9.0, seeds, 250), 0.01, -0.03, -0.01)) == told


def test_a_file_is_replaced_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "numbers.json"
    for number in (1, 2):
        write_json({"number": number, "name": "é"}, path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"number": 2, "name": "é"}
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json({"number": math.nan}, path)
    assert json.loads(path.read_text(encoding="utf-8"))["number"] == 2
    write_json({"number": 3}, Path("-"))
    assert json.loads(capsys.readouterr().out) == {"number": 3}
