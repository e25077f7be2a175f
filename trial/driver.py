"""One stage of a sweep on Ray Tune: searcher, scheduler and recorder around one study."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import TrialState
from ray import tune
from ray.tune.error import TuneError
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from storage.database import away_in_words
from storage.drain import Drain
from storage.errors import StorageError, StoreAwayError
from storage.lease import Lease, living_owners
from storage.record import read_curves
from storage.spool import SpooledStudy, spool_of
from storage.study import StudyStore
from trial.adoption import Adoption
from trial.hung import HungWorkers
from trial.live import Display
from trial.notify import FailureNotice
from trial.order import Flight
from trial.plan import Plan
from trial.ray_repairs import survive_lost_workers, write_no_ended_trials
from trial.recorder import StudyRecorder
from trial.request import Early
from trial.retention import Retention
from trial.retries import Retries
from trial.scheduler import StudyASHA
from trial.searcher import StudySearcher
from trial.settings import read_settings, told_to_ray
from trial.slots import Slots
from trial.stopping import StopRequest
from trial.worker import SweepTrial

RECLAIM_SECONDS = 10.0


@dataclass(frozen=True)
class StageRun:
    """All that a stage needs to run."""

    study: StudyStore
    plan: Plan
    lease: Lease
    drain: Drain
    early: Early | None
    stop: StopRequest
    display: Display
    runs: Path
    room: int = 1  # trials that the cluster can run at once
    concurrent: int | None = None  # trials at once, at most
    worker: type[tune.Trainable] = SweepTrial
    watch: Callable[[dict[str, Flight]], None] = lambda flights: None  # looks at the budgets now and then


def run_stage(stage: StageRun) -> None:
    """Runs until the plan asks for nothing more or `stop` asks; leaves nothing RUNNING.

    A trial that its machine failed is handed out again after a pause; while the store is away, what arrives is spooled.

    Raises:
        StorageError: the store stayed away, or the lease was lost.
    """
    flights: dict[str, Flight] = {}
    study = SpooledStudy(stage.study, spool_of(stage.runs / stage.study.name, stage.lease.owner), stage.display.say)
    retries = Retries(study)
    at_once = min(stage.room, stage.concurrent or stage.room)
    slots = Slots(at_once, may_queue=at_once == stage.room)
    reclaim = _reclaiming(stage, flights, retries)
    recorder = _recorder(stage, study, retries, slots, flights, reclaim)
    pending = str(slots.most_flights)  # or workers would start one after the other
    patience = read_settings().store_patience_seconds
    searcher = StudySearcher(stage.plan, flights, study, retries, stage.stop, slots, patience, reclaim)
    _remove_what_dead_drivers_left(stage)
    survive_lost_workers()
    write_no_ended_trials()
    try:
        with told_to_ray(TUNE_MAX_PENDING_TRIALS_PG=pending):
            _tuner(stage, searcher, _scheduler(stage.study, flights, stage.early), recorder).fit()
    except TuneError as error:
        if (told := _of_the_store(error)) is None:
            raise
        raise told from None
    finally:
        flights |= {f"asked-{flight.order.number}": flight for flight in stage.plan.give_back()}
        recorder.release_all()
        retries.hand_out(everything=True)
        if study.away is None:
            with suppress(StorageError), away_in_words():
                reclaim()
        _remove_own_folder(stage)
    if study.away is not None:
        raise study.farewell


def _reclaiming(stage: StageRun, flights: dict[str, Flight], retries: Retries) -> Callable[[], list[int]]:
    """Takes up trials that a dead driver left, or that were asked for while the store went away; their numbers."""
    adoption = Adoption(stage.study, stage.lease, stage.runs / stage.study.name)

    def reclaim() -> list[int]:
        under_way = [*flights.values(), *stage.plan.asked]
        adoption.replay()
        return adoption.adopt({flight.order.number for flight in under_way} | retries.numbers)

    return reclaim


def _recorder(
    stage: StageRun,
    study: SpooledStudy,
    retries: Retries,
    slots: Slots,
    flights: dict[str, Flight],
    reclaim: Callable[[], list[int]],
) -> StudyRecorder:
    """What is done after each epoch, each end of a trial, and each of Tune's steps."""
    settings, display = read_settings(), stage.display
    quota = settings.checkpoint_quota_mib * 2**20
    retention = Retention(stage.runs / stage.study.name, settings.keep_checkpoints, quota)
    notice, hung = FailureNotice(settings), HungWorkers(settings.hang_seconds)

    def while_there(action: Callable[[], object]) -> None:
        """What only reads, or can be left out: not while the store is away."""
        if study.away is not None:
            return
        try:
            with away_in_words():
                action()
        except StoreAwayError as error:
            study.went_away(error)

    def after_epoch(flight: Flight) -> None:
        while_there(lambda: display.tick(stage.study, flights))

    def after_end(flight: Flight) -> None:
        slots.hear(flight)
        if flight.outcome is not None and flight.outcome.state is TrialState.FAIL:
            stage.plan.note_failure(flight)
        while_there(lambda: retention.after(flight, stage.study.complete_values()))
        notice.after(flight)
        while_there(lambda: display.change(stage.study, flights))

    def after_failure(flight: Flight) -> None:
        kind, sentence = flight.events[-1]
        display.say(f"trial {flight.order.number}, epoch {len(flight.results)}: {kind}: {sentence}")

    reclaimed = time.monotonic()

    def look_around() -> None:
        nonlocal reclaimed
        stage.lease.renew()
        if time.monotonic() - reclaimed > RECLAIM_SECONDS:
            reclaimed = time.monotonic()
            reclaim()
        stage.stop.asked = stage.stop.asked or stage.drain.asked()
        stage.watch(flights)
        display.tick(stage.study, flights)

    def after_step(trials: list[Any]) -> None:
        study.is_back()
        while_there(look_around)
        hung.look(trials, flights)

    return StudyRecorder(study, flights, retries, after_epoch, after_end, after_failure, after_step)


def _of_the_store(error: BaseException | None) -> StorageError | None:
    """What the store said in one of our hooks: Tune raises its own error with the hook's as context."""
    while error is not None and not isinstance(error, StorageError):
        error = error.__cause__ or error.__context__
    return error


def _scheduler(study: StudyStore, flights: dict[str, Flight], early: Early | None) -> TrialScheduler:
    if early is None:
        return FIFOScheduler()
    finished = {trial.number for trial in study.study.get_trials(deepcopy=False) if trial.state.is_finished()}
    with study.storage.engine.connect() as connection:
        curves = read_curves(connection, study.name)
    past = {number: curve for number, curve in curves.items() if number in finished}
    return StudyASHA(flights, past, early.epochs, early.grace, early.reduction_factor)


def _tuner(stage: StageRun, searcher: StudySearcher, scheduler: TrialScheduler, recorder: StudyRecorder) -> tune.Tuner:
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what goes wrong is in the study, with its reason
    placed: Any = tune.with_resources(stage.worker, lambda config: tune.PlacementGroupFactory([config["resources"]]))
    return tune.Tuner(
        placed,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,  # until the plan has no more
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=stage.study.name,
            storage_path=str(_ray_folder(stage)),
            callbacks=[recorder],
            stop=stage.stop,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )


def _ray_folder(stage: StageRun) -> Path:
    """Ray's own bookkeeping, of this driver alone. Nothing reads it: starting again is resuming."""
    return stage.runs / stage.study.name / ".ray" / stage.lease.owner


def _remove_own_folder(stage: StageRun) -> None:
    own = _ray_folder(stage)
    shutil.rmtree(own, ignore_errors=True)
    with suppress(OSError):  # a driver beside this one has its own there
        own.parent.rmdir()


def _remove_what_dead_drivers_left(stage: StageRun) -> None:
    living = living_owners(stage.study.storage.engine, stage.lease.study)
    for left in _ray_folder(stage).parent.glob("*"):
        if left.name not in living:
            shutil.rmtree(left, ignore_errors=True)
