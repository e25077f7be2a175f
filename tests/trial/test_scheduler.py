"""ASHA's rungs: the trials of earlier drivers are in them, adopted ones under their new Ray id."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.trial.flights import flight as a_flight
from trial.order import Flight
from trial.scheduler import StudyASHA


def curve(*best: float) -> tuple[dict[str, Any], ...]:
    return tuple({"epoch": epoch + 1, "best_so_far": value} for epoch, value in enumerate(best))


def flight(*best: float) -> Flight:
    return a_flight(9, known_epochs=len(best), results=list(curve(*best)))


def decide(scheduler: StudyASHA, trial: Any, epoch: int, value: float) -> str:
    return scheduler.on_trial_result(None, trial, {"epoch": epoch, "best_so_far": value, "trial_id": trial.trial_id})


def asha(flights: dict[str, Flight], finished: dict[int, tuple[dict[str, Any], ...]], grace: int = 1) -> StudyASHA:
    return StudyASHA(flights, finished, epochs=4, grace=grace, reduction_factor=2)


def test_finished_trials_of_an_earlier_driver_still_set_the_cutoff() -> None:
    flights = {"new": flight()}
    scheduler = asha(flights, {0: curve(0.05), 1: curve(0.06)})
    trial = SimpleNamespace(trial_id="new")
    scheduler.on_trial_add(None, trial)
    assert decide(scheduler, trial, 1, 0.01) == "STOP"
    assert flights["new"].stopped_by_scheduler


def test_without_earlier_trials_the_first_one_goes_on() -> None:
    flights = {"new": flight()}
    scheduler = asha(flights, {})
    trial = SimpleNamespace(trial_id="new")
    scheduler.on_trial_add(None, trial)
    assert decide(scheduler, trial, 1, 0.01) == "CONTINUE"
    assert not flights["new"].stopped_by_scheduler


def test_an_adopted_trial_is_not_judged_again_at_a_rung_it_passed() -> None:
    flights = {"adopted": flight(0.02)}
    scheduler = asha(flights, {0: curve(0.05)})
    trial = SimpleNamespace(trial_id="adopted")
    scheduler.on_trial_add(None, trial)
    assert 0.02 in scheduler._brackets[0]._rungs[-1][1].values()
    assert decide(scheduler, trial, 1, 0.0) == "CONTINUE"


def test_no_cut_before_the_grace_period() -> None:
    flights = {"new": flight()}
    scheduler = asha(flights, {0: curve(0.5, 0.5), 1: curve(0.6, 0.6)}, grace=2)
    trial = SimpleNamespace(trial_id="new")
    scheduler.on_trial_add(None, trial)
    assert decide(scheduler, trial, 1, -0.5) == "CONTINUE"
    assert decide(scheduler, trial, 2, -0.5) == "STOP"


def test_a_trial_that_is_tried_again_stands_in_a_rung_once() -> None:
    flights = {"first": flight(0.05), "again": flight(0.05)}
    scheduler = asha(flights, {})
    for name in flights:
        scheduler.on_trial_add(None, SimpleNamespace(trial_id=name))
    (_, recorded) = scheduler._brackets[0]._rungs[-1]
    assert list(recorded) == ["again"]
