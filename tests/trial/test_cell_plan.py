"""Cells: each is walked once, seeds outermost; seeds are added by precision; another configuration is another cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from search_spaces.config import TrialConfig
from storage.database import open_storage
from storage.study import StudyStore
from tests.trial.results import epoch_result
from trial.cell_plan import MAX_SEEDS, Cell, CellPlan
from trial.machine import Machine
from trial.order import Flight, Outcome
from trial.plan import Place
from trial.recording import finish, record_epoch

BASE = TrialConfig().replace(**{"train.epochs": 1})
RATES = {"a": 1e-3, "b": 2e-3}


@pytest.fixture
def study(tmp_path: Path) -> StudyStore:
    return StudyStore(open_storage(f"sqlite:///{tmp_path}/sweeps.db"), "s.confirm")


def open_plan(
    study: StudyStore,
    seeds: int = 1,
    needs_seed: Callable[[], bool] | None = None,
    rates: dict[str, float] = RATES,
    **place: Any,
) -> CellPlan:
    ranges = {
        "arm": CategoricalDistribution(["a", "b", "c"]),
        "seed": CategoricalDistribution(list(range(MAX_SEEDS))),
    }

    def configure(cell: Cell) -> TrialConfig:
        return BASE.replace(**{"train.learning_rate": rates[cell["arm"]], "arm": cell["arm"], "seed": cell["seed"]})

    where = replace(Place(Path("runs"), Path("market"), Machine(), "code", "provenance"), **place)
    return CellPlan(study, ranges, [{"arm": arm} for arm in rates], configure, where, seeds, needs_seed)


def complete(study: StudyStore, one: Flight) -> None:
    record_epoch(study, one, epoch_result(1, is_last=True).to_dict())
    finish(study, one)


def walk(plan: CellPlan, most: int = 100) -> list[tuple[str, int, float]]:
    """Completes what the plan asks for, at most so many."""
    cells = []
    while len(cells) < most and (one := plan.next_flight()) is not None:
        config = one.order.config
        cells.append((config.arm, config.seed, config.train.learning_rate))
        complete(plan.study, one)
    return cells


def test_every_cell_once_with_seeds_outermost(study: StudyStore) -> None:
    plan = open_plan(study, seeds=2)
    assert plan.target == 4
    assert walk(plan) == [("a", 0, 1e-3), ("b", 0, 2e-3), ("a", 1, 1e-3), ("b", 1, 2e-3)]
    assert [trial.params for trial in study.study.trials][1] == {"arm": "b", "seed": 0}
    assert walk(open_plan(study, seeds=2)) == []


def test_a_cell_that_failed_is_not_walked_again(study: StudyStore) -> None:
    plan = open_plan(study)
    one = plan.next_flight()
    assert one is not None
    one.outcome = Outcome(TrialState.FAIL, "error", "it broke")
    finish(study, one)
    assert walk(open_plan(study)) == [("b", 0, 2e-3)]


def test_the_next_start_goes_on_and_takes_up_what_waits(study: StudyStore) -> None:
    first = open_plan(study, seeds=2)
    walk(first, most=1)
    begun = first.next_flight()
    assert begun is not None
    study.requeue_unfinished()
    again = open_plan(study, seeds=2)
    assert walk(again) == [("b", 0, 2e-3), ("a", 1, 1e-3), ("b", 1, 2e-3)]
    assert study.study.trials[begun.order.number].user_attrs["attempts"] == 2
    assert again.target == study.num_finished == 4


def test_seeds_are_added_once_all_are_done_as_long_as_precision_asks(study: StudyStore) -> None:
    looks: list[int] = []

    def needs_seed() -> bool:
        looks.append(study.num_finished)
        return len(looks) < 3

    plan = open_plan(study, seeds=2, needs_seed=needs_seed)
    under_way = [plan.next_flight() for _ in range(4)]
    assert plan.next_flight() is None
    assert looks == []
    for one in under_way:
        assert one is not None
        complete(study, one)
    assert [seed for _, seed, _ in walk(plan)] == [2, 2, 3, 3]
    assert looks == [4, 6, 8]
    assert plan.target == study.num_finished == 8


def test_a_start_looks_at_the_precision_before_it_says_that_all_is_done(study: StudyStore) -> None:
    walk(open_plan(study, seeds=2))
    assert open_plan(study, seeds=2, needs_seed=lambda: True).target == 6
    assert open_plan(study, seeds=2, needs_seed=lambda: False).target == 4


def test_no_more_than_the_most_seeds(study: StudyStore) -> None:
    plan = open_plan(study, seeds=MAX_SEEDS - 1, needs_seed=lambda: True)
    assert {seed for _, seed, _ in walk(plan)} == set(range(MAX_SEEDS))


def test_seeds_that_were_added_are_gone_on_with_unless_their_number_is_given(study: StudyStore) -> None:
    walk(open_plan(study, seeds=3), most=5)
    assert walk(open_plan(study, seeds=2)) == []
    assert walk(open_plan(study, seeds=2, needs_seed=lambda: False)) == [("b", 2, 2e-3)]


def test_an_arm_of_another_configuration_is_walked_anew(study: StudyStore) -> None:
    walk(open_plan(study))
    changed = open_plan(study, rates=RATES | {"b": 3e-3})
    assert changed.target == 3
    assert walk(changed) == [("b", 0, 3e-3)]
    assert study.num_finished == changed.target


def test_an_arm_that_is_added_is_walked(study: StudyStore) -> None:
    walk(open_plan(study))
    assert walk(open_plan(study, rates=RATES | {"c": 3e-3})) == [("c", 0, 3e-3)]


def test_what_waits_for_an_arm_that_is_gone_is_given_up(study: StudyStore) -> None:
    """A winner's cell that was enqueued, and not begun, before a kill; the next start compares no winner."""
    study.study.enqueue_trial({"arm": "c", "seed": 0})
    plan = open_plan(study)
    assert walk(plan) == [("a", 0, 1e-3), ("b", 0, 2e-3)]
    assert plan.target == study.num_finished == 3
    (gone,) = study.study.get_trials(states=(TrialState.FAIL,))
    assert "not compared any more" in gone.user_attrs["sentence"]
    assert walk(open_plan(study, rates=RATES | {"c": 3e-3})) == [("c", 0, 3e-3)]


def test_nothing_is_asked_once_a_budget_is_used_up(study: StudyStore) -> None:
    assert walk(open_plan(study, closed=lambda: True)) == []
