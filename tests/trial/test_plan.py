"""What a search asks next: equal seeds ask alike, known failures are not tried, earlier ones help, budgets end it."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from search_spaces import SPACES
from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from storage.database import open_storage
from storage.study import StudyStore
from tests.trial.flights import flight
from tests.trial.results import epoch_result
from trial.budget import Budget
from trial.machine import Machine
from trial.order import Flight, Outcome
from trial.plan import Place
from trial.predictions import PREDICTIONS
from trial.recording import finish, record_epoch
from trial.request import SweepRequest
from trial.sampling import make_sampler
from trial.search_plan import SearchPlan
from trial.stopping import StopRequest
from trial.warm_start import first_points, fitted

SPACE = SPACES["gat_ablation"]
BASE = TrialConfig().replace(**{"train.epochs": 1})


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/sweeps.db"


def open_plan(url: str, folder: Path, name: str = "s", seed: int = 0, target: int = 12, **more: Any) -> SearchPlan:
    study = StudyStore(open_storage(url), name)
    place = Place(folder, folder / "market", Machine(), more.pop("code", "code"), "provenance")
    sampler = partial(make_sampler, SweepRequest(space="gat_ablation", seed=seed))
    return SearchPlan(study, SPACE, BASE, place, target, sampler=sampler, **more)


def complete(plan: SearchPlan, one: Flight, value: float) -> None:
    record_epoch(plan.study, one, replace(epoch_result(1, is_last=True), value=value).to_dict())
    finish(plan.study, one)


def test_a_trial_whose_driver_died_between_its_last_epoch_and_its_outcome_is_told(url: str, tmp_path: Path) -> None:
    plan = open_plan(url, tmp_path)
    one = plan.next_flight()
    assert one is not None
    record_epoch(plan.study, one, epoch_result(1, is_last=True).to_dict())
    written = one.order.folder / PREDICTIONS
    written.parent.mkdir(parents=True)
    written.touch()
    plan.study.requeue_unfinished()
    other = open_plan(url, tmp_path).next_flight()
    assert other is not None
    assert other.order.number == 1
    told = plan.study.study.trials[0]
    assert (told.state, told.value) == (TrialState.COMPLETE, one.results[-1]["value"])
    assert told.user_attrs["predictions"] == str(written)


def fail(plan: SearchPlan, one: Flight, reason: str = "error") -> None:
    one.outcome = Outcome(TrialState.FAIL, reason, "it broke")
    finish(plan.study, one)
    plan.note_failure(one)


def run(plan: SearchPlan, number: int) -> list[str]:
    """Completes so many trials, better ones by their hash; the configurations in their order."""
    hashes = []
    for _ in range(number):
        one = plan.next_flight()
        assert one is not None
        hashes.append(one.order.config.hash)
        complete(plan, one, int(hashes[-1], 16) / 16**12)
    return hashes


def test_equal_seeds_draw_alike_in_one_run_or_in_several(url: str, tmp_path: Path) -> None:
    whole = run(open_plan(url, tmp_path, "whole", batch=1), 12)
    first = run(open_plan(url, tmp_path, "parts", batch=1), 9)
    assert first + run(open_plan(url, tmp_path, "parts", batch=1), 3) == whole
    assert run(open_plan(url, tmp_path, "other", seed=1, batch=1), 12) != whole


def test_a_batch_is_asked_together_and_the_next_after_all_its_ends(url: str, tmp_path: Path) -> None:
    plan = open_plan(url, tmp_path, batch=2, target=5)
    one, two = plan.next_flight(), plan.next_flight()
    assert one is not None
    assert two is not None
    assert plan.next_flight() is None
    complete(plan, two, 0.1)
    assert plan.next_flight() is None
    complete(plan, one, 0.2)
    assert plan.next_flight() is not None
    assert [each.order.number for each in plan.give_back()] == [3]


@pytest.mark.parametrize(
    ("reason", "code", "is_tried"),
    [("error", "code", False), ("lost_node", "code", True), ("error", "mended", True)],
)
def test_a_configuration_that_failed_for_good_is_not_tried_again(
    url: str, tmp_path: Path, reason: str, code: str, is_tried: bool
) -> None:
    point = dict(SPACE.first_points[0])
    first = open_plan(url, tmp_path, first_points=[point])
    one = first.next_flight()
    assert one is not None
    fail(first, one, reason)
    again = open_plan(url, tmp_path, code=code)
    again.study.study.enqueue_trial(point)
    following = again.next_flight()
    assert following is not None
    assert (following.order.config.hash == one.order.config.hash) is is_tried
    known = [trial for trial in again.study.study.trials if trial.user_attrs.get("reason") == "known_failure"]
    assert [trial.state for trial in known] == ([] if is_tried else [TrialState.FAIL])
    assert all("failed as trial 0" in trial.user_attrs["sentence"] for trial in known)


def test_other_data_are_searched_anew(url: str, tmp_path: Path) -> None:
    """Values of the data before cannot be compared, so that a search of as many trials has not begun."""
    point = dict(SPACE.first_points[0])

    def opened(cells: str) -> SearchPlan:
        study = StudyStore(open_storage(url), "s")
        study.define({"cells": cells}, accept=True)
        return open_plan(url, tmp_path, target=2, first_points=[point])

    def walked(plan: SearchPlan) -> list[tuple[int, bool]]:
        found = []
        while (one := plan.next_flight()) is not None:
            drawn = plan.study.study.get_trials()[one.order.number].params
            found.append((one.order.number, drawn == point))
            complete(plan, one, 0.1)
        return found

    assert walked(opened("a")) == [(0, True), (1, False)]
    assert walked(opened("a")) == []
    again = opened("b")
    assert again.target == 4
    assert walked(again) == [(2, True), (3, False)]
    assert walked(opened("b")) == []


def test_the_best_of_an_earlier_study_are_tried_first_as_far_as_they_fit(url: str, tmp_path: Path) -> None:
    earlier = open_plan(url, tmp_path, "earlier", target=8)
    run(earlier, 8)
    points = first_points(earlier.study.storage, SPACE, BASE, ["earlier"])
    best = sorted(earlier.study.study.trials, key=lambda trial: -(trial.value or 0))[:5]
    assert points == [dict(SPACE.first_points[0]), *(trial.params for trial in best)]
    assert fitted(SPACE, BASE, {"hidden": 32, "learning_rate": 99.0, "no_such": 1}) == {"hidden": 32}
    assert fitted(SPACE, BASE, {"hidden": 128}) == {}
    StudyStore(earlier.study.storage, "empty")
    with pytest.raises(SpaceError, match="'empty' has none that fit"):
        first_points(earlier.study.storage, SPACE, BASE, ["empty"])


def budget(plan: SearchPlan, stop: StopRequest | None = None, **more: Any) -> Budget:
    return Budget(plan.study, (plan.study.name,), stop or StopRequest(), **more)


def test_patience_ends_the_search_once_nothing_was_better_for_so_long(url: str, tmp_path: Path) -> None:
    plan = open_plan(url, tmp_path)
    for value in (0.1, 0.3, 0.2, 0.1):
        one = plan.next_flight()
        assert one is not None
        complete(plan, one, value)
    patient, impatient = budget(plan, patience=3), budget(plan, patience=2)
    patient.look([])
    impatient.look([])
    assert not patient.is_used_up
    assert impatient.reason == "nothing was better than trial 1 for 2 trials; those asked for already go on"


def test_patience_does_not_depend_on_when_somebody_looked(url: str, tmp_path: Path) -> None:
    plan = open_plan(url, tmp_path)
    never_looked = budget(plan, patience=2)
    plan.place = replace(plan.place, closed=lambda: never_looked.is_used_up)
    for value in (0.3, 0.2, 0.1):
        one = plan.next_flight()
        assert one is not None
        complete(plan, one, value)
    assert plan.next_flight() is None


def test_gpu_hours_count_what_is_over_and_what_runs(url: str, tmp_path: Path) -> None:
    plan = open_plan(url, tmp_path)
    one = plan.next_flight()
    assert one is not None
    one.gpus = 2.0
    record_epoch(plan.study, one, replace(epoch_result(1, is_last=True), seconds=900.0).to_dict())
    finish(plan.study, one)
    running = flight(gpus=1.0)
    running.results.append(replace(epoch_result(1), seconds=1800.0).to_dict())
    alone, together = budget(plan, gpu_hours=0.6), budget(plan, gpu_hours=1.0)
    alone.look([])
    together.look([running])
    assert not alone.is_used_up
    assert together.reason == "1.00 of 1 GPU-hours are used"


def test_nothing_starts_in_the_drain_before_the_deadline(url: str, tmp_path: Path) -> None:
    plan = open_plan(url, tmp_path)
    stop = StopRequest(100.0)
    early, late = budget(plan, stop, drain_seconds=50.0), budget(plan, stop, drain_seconds=150.0)
    early.look([])
    late.look([])
    assert (early.is_used_up, late.is_used_up) == (False, True)
    assert stop.deadline is not None
    assert stop.deadline > time.time()
    closed = open_plan(url, tmp_path, "closed")
    closed.place = replace(closed.place, closed=lambda: late.is_used_up)
    assert closed.next_flight() is None
