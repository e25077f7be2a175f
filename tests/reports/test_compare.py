"""Two sweeps of one store: what differs, what each found, and their winners where days and seeds are the same."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from scipy import stats
from typer.testing import CliRunner

from reports.as_json import as_json
from reports.compare import Comparison, app, compare, comparison_as_json
from reports.evidence import read_evidence
from reports.inference.effect import Effect
from storage.study import StudyStore
from tests.reports.conftest import REFERENCE, add_trial, make_study

runner = CliRunner()
DEFINITION = {"cells": "c", "folds": {"confirm-1": ["2020-01-01"]}, "reference": {"train": {"learning_rate": 0.001}}}
ONE = {0: 0.9, 1: 0.050, 2: 0.053, 3: 0.049, 4: 0.055, 5: 0.051}  # seed -> skill of the winner
OTHER = {1: 0.040, 2: 0.045, 3: 0.036, 4: 0.041, 5: 0.046, 6: -0.9}
DIFFERENCES = np.array([0.010, 0.008, 0.013, 0.014, 0.005])  # of the seeds that both have


def make_search(storage: RDBStorage, name: str, **definition: object) -> StudyStore:
    """One COMPLETE trial of RankIC 0.03, and one that ASHA ended."""
    study = make_study(storage, name)
    study.define(DEFINITION | definition, 2)
    add_trial(study, [0.03], TrialState.COMPLETE, "complete")
    add_trial(study, [0.01], TrialState.PRUNED, "asha")
    return study


def make_confirm(
    storage: RDBStorage, name: str, skill: Mapping[int, float], epochs: int = 2, **definition: object
) -> StudyStore:
    """The reference, which is the winner, and an arm that loses 0.02, on every seed and two folds."""
    study = make_study(storage, f"{name}.confirm")
    study.define(DEFINITION | definition, epochs)
    for seed, value in skill.items():
        for fold in ("confirm-1", "confirm-2"):
            cell: dict[str, Any] = {"seed": seed, "fold": fold}
            add_trial(study, [value], TrialState.COMPLETE, "complete", arm=REFERENCE, **cell)
            add_trial(study, [value - 0.02], TrialState.COMPLETE, "complete", arm="no_gat", **cell)
    return study


def compared(storage: RDBStorage) -> Comparison:
    return compare(read_evidence(storage, "one"), read_evidence(storage, "other"))


@pytest.fixture
def pair(storage: RDBStorage) -> None:
    """Two whole sweeps on the same days, with five seeds in common and another learning rate."""
    make_search(storage, "one")
    make_search(storage, "other")
    make_confirm(storage, "one", ONE)
    make_confirm(storage, "other", OTHER, epochs=3, reference={"train": {"learning_rate": 0.002}})


def test_winners_are_paired_by_seed_and_day(storage: RDBStorage, pair: None) -> None:
    winners = compared(storage).winners
    assert isinstance(winners, Effect)
    assert winners.mean == pytest.approx(DIFFERENCES.mean())
    assert (winners.num_seeds, winners.num_days) == (5, 56)
    error = DIFFERENCES.std(ddof=1) / math.sqrt(5)  # what the days add is equal in both, so that nothing is left of it
    assert winners.standard_error == pytest.approx(error)
    reach = stats.t.ppf(0.975, 4) * error
    assert winners.interval(0.95) == pytest.approx((DIFFERENCES.mean() - reach, DIFFERENCES.mean() + reach))


def test_the_order_of_the_two_is_the_sign(storage: RDBStorage, pair: None) -> None:
    turned = compare(read_evidence(storage, "other"), read_evidence(storage, "one"))
    assert isinstance(turned.winners, Effect)
    assert turned.winners.mean == pytest.approx(-DIFFERENCES.mean())
    assert turned.differences == ["reference.train.learning_rate: 0.002 -> 0.001", "epochs: 3 -> 2"]


def test_definitions_are_those_of_confirm_and_more_epochs_count(storage: RDBStorage, pair: None) -> None:
    found = compared(storage)
    assert found.stage == "confirm"
    assert found.differences == ["reference.train.learning_rate: 0.001 -> 0.002", "epochs: 2 -> 3"]


def test_without_confirm_the_search_is_compared(storage: RDBStorage) -> None:
    make_search(storage, "one")
    make_search(storage, "other", stage="search")
    found = compared(storage)
    assert (found.stage, found.differences) == ("search", ["stage: None -> search"])
    why = "has no winner to compare: the confirm stage was not run"
    assert found.winners == f"one {why}; other {why}"


def test_sweeps_without_a_common_stage_are_not_compared(storage: RDBStorage) -> None:
    make_search(storage, "one")
    make_confirm(storage, "other", OTHER)
    found = compared(storage)
    assert (found.stage, found.differences) == (None, [])
    assert found.winners == "one has no winner to compare: the confirm stage was not run"


@pytest.mark.parametrize(
    ("definition", "skill", "why"),
    [
        ({"cells": "d"}, OTHER, "their confirm studies are about other data"),
        ({"folds": {}}, OTHER, "their confirm studies are cut into other folds"),
        ({}, {6: 0.1, 7: 0.1}, "the winners have 0 seeds and 0 days in common, and 2 of each are needed"),
        ({}, {5: 0.1, 7: 0.1}, "the winners have 1 seeds and 56 days in common, and 2 of each are needed"),
        ({}, {1: 0.1}, "other has no winner to compare: the winner has fewer than two seeds on every confirm fold"),
    ],
)
def test_it_says_why_winners_are_not_comparable(
    storage: RDBStorage, definition: dict[str, Any], skill: dict[int, float], why: str
) -> None:
    make_confirm(storage, "one", ONE)
    make_confirm(storage, "other", skill, **definition)
    assert compared(storage).winners == why
    told = comparison_as_json(compared(storage))
    assert (told["winner_a_minus_b"], told["why_not_comparable"]) == (None, why)


def test_winners_of_other_horizons_are_not_compared(storage: RDBStorage) -> None:
    make_confirm(storage, "one", ONE)
    make_confirm(storage, "other", OTHER).study.set_user_attr("horizons", [1])
    assert compared(storage).winners == "the winners are scored at other horizons: 5 and 1 days"


def invoke(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    result = runner.invoke(app, [*arguments, "--storage", f"sqlite:///{tmp_path}/sweeps.db"])
    return result.exit_code, result.output


def test_the_command_shows_both(tmp_path: Path, storage: RDBStorage, pair: None) -> None:
    code, shown = invoke(tmp_path, "one", "other.confirm")
    assert code == 0
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "trials of search 1 COMPLETE, 1 PRUNED 1 COMPLETE, 1 PRUNED" in lines
    assert "trials of confirm 24 COMPLETE 24 COMPLETE" in lines
    assert "trials of tune not run not run" in lines
    assert "best of the search +0.0300, trial 0 +0.0300, trial 0" in lines
    assert "no_gat hurts hurts" in lines
    assert "deploy undecided undecided" in lines
    difference = next(line for line in lines if line.startswith("winner of one minus winner of other"))
    assert "95 %: +0.0100 (" in difference
    assert difference.endswith("5 seeds, 56 days")
    assert lines[-3:] == [
        "2 settings differ between their confirm studies, one -> other:",
        "reference.train.learning_rate: 0.001 -> 0.002",
        "epochs: 2 -> 3",
    ]


def test_few_seeds_and_many_differences_are_said(tmp_path: Path, storage: RDBStorage) -> None:
    make_confirm(storage, "one", {0: 0.1, 1: 0.2})
    make_confirm(storage, "other", {0: 0.2, 1: 0.1}, many={f"setting_{n}": n for n in range(25)})
    code, shown = invoke(tmp_path, "one", "other")
    assert code == 0
    assert "fewer than 5 seeds, so an indication at most" in shown
    assert "setting_19: None -> 19" in shown
    assert "setting_20" not in shown
    assert "and 5 more, which --json has" in shown


def test_equal_definitions_are_said(tmp_path: Path, storage: RDBStorage) -> None:
    make_search(storage, "one")
    make_search(storage, "other")
    code, shown = invoke(tmp_path, "one", "other")
    assert code == 0
    assert "Their search studies have one definition." in shown
    assert "The winners cannot be compared: one has no winner to compare: the confirm stage was not run" in shown


def test_the_numbers_go_to_a_file_or_to_standard_output(tmp_path: Path, storage: RDBStorage, pair: None) -> None:
    path = tmp_path / "compared.json"
    assert invoke(tmp_path, "one", "other", "--json", str(path)) == (0, f"{path}\n")
    found = json.loads(path.read_text())
    code, shown = invoke(tmp_path, "one", "other", "--json", "-")
    assert (code, json.loads(shown)) == (0, found)
    assert (found["a"], found["b"]) == tuple(as_json(read_evidence(storage, name)) for name in ("one", "other"))
    assert found["compared_stage"] == "confirm"
    assert found["differences"] == compared(storage).differences
    assert found["why_not_comparable"] is None
    assert found["winner_a_minus_b"]["mean"] == pytest.approx(0.01)
    assert found["a"]["verdicts"]["no_gat"]["word"] == "hurts"


def test_an_unknown_study_is_refused(tmp_path: Path, storage: RDBStorage, pair: None) -> None:
    code, shown = invoke(tmp_path, "one", "ohter")
    assert code == 2
    assert shown.startswith("error: a study must be one of: one, one.confirm, other, other.confirm; got 'ohter'.")
    assert shown.count("\n") == 1


def test_a_store_that_is_not_there_is_refused(tmp_path: Path) -> None:
    result = runner.invoke(app, ["one", "other", "--runs", str(tmp_path / "nowhere")])
    assert result.exit_code == 2
    assert "error: the store must exist" in result.output
    assert not (tmp_path / "nowhere").exists()
