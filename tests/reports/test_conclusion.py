"""What a terminal says at the end, and the command that brings the answer nearer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from optuna.storages import RDBStorage

from reports.conclusion import conclusion
from reports.deployment import Deployment, decide
from reports.evidence import Evidence, read_evidence
from reports.next_step import COMMAND, next_step
from storage.study import StudyStore

WORDS = ["gat_ablation", "--data", "p.parquet", "--runs", "there", "--seeds=2"]


@pytest.fixture
def evidence(storage: RDBStorage, search: StudyStore, confirm: StudyStore) -> Evidence:
    search.study.set_user_attr(COMMAND, WORDS)
    return read_evidence(storage, "demo")


def test_it_says_winner_verdicts_answer_and_next_command(evidence: Evidence) -> None:
    told = dict(conclusion(evidence))
    assert list(told) == ["confirmed", "verdicts", "detectable", "deploy", "next"]
    assert "minus ridge" in told["confirmed"]
    assert told["verdicts"] == "no_gat undecided"
    assert told["deploy"].startswith("undecided, because it was confirmed with 2 seeds")
    assert told["next"].startswith("python -m trial.sweep gat_ablation --data p.parquet --runs there --seeds 5 ")


def test_without_a_confirm_stage_it_says_how_to_go_on(storage: RDBStorage, search: StudyStore) -> None:
    told = dict(conclusion(read_evidence(storage, "demo")))
    assert list(told) == ["deploy", "next"]
    assert told["next"].startswith("python -m trial.sweep demo ")


@pytest.mark.parametrize(
    ("words", "num_whole", "asked"),
    [
        (["--seeds", "5"], 4, "--seeds 6"),
        (["--seeds=8"], 3, "--seeds 10"),
        (["--seeds", "3"], 2, "--seeds 5"),
        ([], 4, "--seeds 5"),
        (["--stage", "confirm", "--seeds", "5"], 4, "--seeds 6"),
    ],
)
def test_as_many_seeds_are_asked_for_as_were_lost(
    storage: RDBStorage, search: StudyStore, confirm: StudyStore, words: list[str], num_whole: int, asked: str
) -> None:
    search.study.set_user_attr(COMMAND, ["gat_ablation", *words])
    evidence = read_evidence(storage, "demo")
    found = decide(evidence)
    assert found.winner is not None
    own = found.winner.confirm
    few = replace(found.winner, confirm=replace(own, level=replace(own.level, num_seeds=num_whole)))
    assert next_step(evidence, replace(found, winner=few)).command == f"python -m trial.sweep gat_ablation {asked}"


@pytest.mark.parametrize(
    ("found", "command"),
    [
        (Deployment("yes", "."), "python -m trial.export demo --runs there"),
        (Deployment("no", "."), "python -m trial.sweep --list"),
        (Deployment("undecided", ".", awaits_holdout=True), "python -m trial.holdout demo --runs there"),
    ],
)
def test_the_command_follows_the_answer(evidence: Evidence, found: Deployment, command: str) -> None:
    winner = decide(evidence).winner
    assert next_step(evidence, replace(found, winner=winner)).command == command


def test_where_seeds_cannot_help_more_days_are_asked_for(evidence: Evidence) -> None:
    winner = decide(evidence).winner
    assert winner is not None
    many = replace(winner.confirm, level=replace(winner.confirm.level, num_seeds=8))
    found = Deployment("undecided", "it cannot be told from ridge", replace(winner, confirm=many))
    assert next_step(evidence, found).command.endswith("--runs there --seeds=2 --data LONGER_PANEL")
