"""What an attempt leaves is written whole: outcome, attributes, events, cost, ledger; read as Optuna's own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from storage.attempt import Ending
from storage.costs import read_costs
from storage.draft import draft
from storage.ledger import count_trials, market_id, note_holdout_read, read_holdout_reads, tried_on_market_of
from storage.record import best_complete, read_events, read_records
from storage.remove import remove_study
from storage.study import StudyStore
from storage.tables import ledger
from tests.storage.helpers import draw, open_study, report, rows_of

COST = {"epochs": 2, "wall_seconds": 4.0, "train_seconds": 3.0, "gpu_seconds": 1.5}


@pytest.fixture
def study(storage: RDBStorage) -> StudyStore:
    return open_study(storage)


def ended(study: StudyStore, state: str | None, values: tuple[float, ...] | None = None, **more: Any) -> optuna.Trial:
    trial = study.ask()
    draw(trial)
    study.record_epoch(report(trial, 1, 0.1))
    study.record_epoch(report(trial, 2, 0.3))
    study.end(Ending(trial.number, trial._trial_id, 0, "ending", state, values, cost=COST, **more))
    return trial


@pytest.mark.parametrize(
    ("state", "values"), [("COMPLETE", (0.3,)), ("PRUNED", None), ("FAIL", None)], ids=["COMPLETE", "PRUNED", "FAIL"]
)
def test_an_ending_reads_as_optunas_own(study: StudyStore, state: str, values: tuple[float, ...] | None) -> None:
    ours = ended(study, state, values)
    theirs = study.ask()
    for epoch, value in ((1, 0.1), (2, 0.3)):
        study.record_epoch(report(theirs, epoch, value))
    study.study.tell(theirs, values=values, state=TrialState[state])
    a, b = (study.storage.get_trial(trial._trial_id) for trial in (ours, theirs))
    assert (a.state, a.values, a.intermediate_values) == (b.state, b.values, b.intermediate_values)
    assert a.datetime_complete is not None


def test_drawn_parameters_read_as_optunas_own(study: StudyStore) -> None:
    trial = draft(study.ask())
    drawn = dict(draw(trial))
    assert study.storage.get_trial(trial._trial_id).params == {}
    study.start(trial, {"arm": "a"})
    stored = study.storage.get_trial(trial._trial_id)
    assert (stored.params, stored.user_attrs) == (drawn, {"arm": "a"})
    assert stored.distributions == trial.distributions


def test_twice_is_as_once(study: StudyStore) -> None:
    trial = study.ask()
    events = (("interrupted", "it waits"),)
    one = Ending(trial.number, trial._trial_id, 0, "interrupted", None, events=events, cost=COST)
    study.end(one)
    study.end(one)
    assert [event.kind for event in read_events(study.storage, study.name)] == ["interrupted"]
    assert study.counts()["WAITING"] == 1


def test_one_that_is_held_is_not_handed_out(study: StudyStore) -> None:
    trial = study.ask()
    study.end(Ending(trial.number, trial._trial_id, 0, "crash", None, cost=COST, held=True))
    assert study.counts()["RUNNING"] == 1


def test_constraints_are_seen_by_samplers_and_the_best(study: StudyStore) -> None:
    ended(study, "COMPLETE", (0.9,), attributes={"constraints": {"turnover<=0.3": 0.2}})
    ended(study, "COMPLETE", (0.1,), attributes={"constraints": {"turnover<=0.3": -0.1}})
    assert study.study.trials[0].constraints == {"turnover<=0.3": 0.2}
    best = best_complete(read_records(study.storage, study.name))
    assert best is not None
    assert best.number == 1


def test_costs_add_up_over_all_attempts(study: StudyStore) -> None:
    ended(study, "COMPLETE", (0.3,))
    ended(study, "FAIL")
    cost = read_costs(study.storage.engine, [study.name])[study.name]
    assert tuple(cost) == (2, 8.0, 6.0, 3.0)
    with study.storage.engine.connect() as connection:
        (row,) = connection.exec_driver_sql("SELECT study, trials, attempts, gpu_seconds FROM sweep_costs").all()
    assert tuple(row) == (study.name, 2, 2, 3.0)


def test_the_ledger_outlives_its_study(storage: RDBStorage) -> None:
    market = market_id(storage.engine, {"name": "sp500"}, lambda known: known["name"] == "sp500")
    entry = {"market": market, "fold": "search", "config_hash": "c", "value": 0.3}
    for _ in range(2):  # the name is used again
        study = open_study(storage)
        ended(study, "COMPLETE", (0.3,), ledger=entry)
        ended(study, "PRUNED", ledger=entry)
        remove_study(storage, study.name)
    assert count_trials(storage.engine, market) == 4


def test_a_market_is_found_again_by_likeness(storage: RDBStorage) -> None:
    def number(name: str) -> int:
        return market_id(storage.engine, {"name": name}, lambda known: known["name"][:2] == name[:2])

    assert number("sp500") == number("sp500 and a day")
    assert number("nasdaq") != number("sp500")


def test_reads_of_the_hold_out_are_counted_by_market(storage: RDBStorage) -> None:
    one, other = (market_id(storage.engine, {"name": name}, lambda known: False) for name in ("a", "b"))
    assert note_holdout_read(storage.engine, one, "final report", 0)
    assert not note_holdout_read(storage.engine, one, "a command that looked before that", 0)
    assert note_holdout_read(storage.engine, one, "once more", 1)
    assert read_holdout_reads(storage.engine, other) == []
    reads = read_holdout_reads(storage.engine, one)
    assert [read.purpose for read in reads] == ["final report", "once more"]
    assert "@" in reads[0].reader


def test_of_commands_that_read_the_hold_out_at_once_one_does(storage: RDBStorage) -> None:
    market = market_id(storage.engine, {"name": "a"}, lambda known: False)
    with ThreadPoolExecutor(8) as pool:
        noted = list(pool.map(lambda who: note_holdout_read(storage.engine, market, f"reader {who}", 0), range(8)))
    assert sum(noted) == 1
    assert len(read_holdout_reads(storage.engine, market)) == 1


def test_the_ledger_keeps_the_last_value_that_was_seen(storage: RDBStorage) -> None:
    study, market = open_study(storage), market_id(storage.engine, {"name": "sp500"}, lambda known: False)
    trial, entry = study.ask(), {"market": market, "fold": "search", "config_hash": "c"}
    for attempt, (state, value) in enumerate(((None, 0.1), ("COMPLETE", 0.3))):
        values = None if state is None else (value,)
        if attempt:
            study.study.ask()  # the same trial, handed out again
        study.end(Ending(0, trial._trial_id, attempt, "x", state, values, cost=COST, ledger=entry | {"value": value}))
    (row,) = rows_of(storage.engine, ledger)
    assert row["value"] == 0.3


def test_what_was_tried_on_a_market_counts_configurations_not_repetitions(storage: RDBStorage) -> None:
    market, other = (market_id(storage.engine, {"name": name}, lambda known: False) for name in ("a", "b"))
    study = open_study(storage)
    assert tried_on_market_of(storage.engine, [study.name]) is None
    for config_hash, fold in (("c", "search"), ("c", "confirm-1"), ("d", "search")):
        ended(
            study, "COMPLETE", (0.3,), ledger={"market": market, "fold": fold, "config_hash": config_hash, "value": 0.3}
        )
    elsewhere = open_study(storage, name="elsewhere")
    ended(elsewhere, "PRUNED", ledger={"market": market, "fold": "search", "config_hash": "e", "value": 0.1})
    ended(elsewhere, "PRUNED", ledger={"market": other, "fold": "search", "config_hash": "f", "value": 0.1})
    note_holdout_read(storage.engine, market, "final report", 0)
    assert tried_on_market_of(storage.engine, ["not there", study.name]) == (3, 1)
