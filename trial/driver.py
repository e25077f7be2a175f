"""One stage of a sweep on Ray Tune: searcher, scheduler and recorder around one study."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.error import TuneError
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from storage.drain import Drain
from storage.errors import StorageError
from storage.lease import Lease
from storage.record import read_curves
from storage.study import StudyStore
from trial.live import Display
from trial.notify import FailureNotice
from trial.order import Flight
from trial.plan import Plan
from trial.recorder import StudyRecorder
from trial.request import Early
from trial.resources import Resources
from trial.retention import Retention
from trial.scheduler import StudyASHA
from trial.searcher import StudySearcher
from trial.settings import read_settings
from trial.stopping import StopRequest
from trial.worker import SweepTrial

FUTILE_ROUNDS = 3  # a machine that takes every worker away must not keep the driver for ever


@dataclass(frozen=True)
class StageRun:
    """All that a stage needs to run."""

    study: StudyStore
    plan: Plan
    lease: Lease
    drain: Drain
    early: Early | None
    resources: Resources
    stop: StopRequest
    display: Display
    runs: Path
    worker: type[tune.Trainable] = SweepTrial


def run_stage(stage: StageRun) -> None:
    """Runs until the plan's target of finished trials is reached or `stop` asks; leaves nothing RUNNING.

    A trial whose worker was taken away waits, and is handed out again: by this round, or by the next one. Where
    nothing finishes in FUTILE_ROUNDS rounds in a row, what waits is left to the next start.

    Raises:
        StorageError: the store stayed away, or the lease was lost.
    """
    study, futile, notice = stage.study, 0, FailureNotice(read_settings())
    while study.num_finished < stage.plan.target and stage.stop.reason is None and futile < FUTILE_ROUNDS:
        finished = study.num_finished
        _run_round(stage, notice)
        futile = futile + 1 if study.num_finished == finished else 0


def _run_round(stage: StageRun, notice: FailureNotice) -> None:
    """One run of Tune, of as many trials as the plan still lacks."""
    study, display = stage.study, stage.display
    flights: dict[str, Flight] = {}
    settings = read_settings()
    quota = settings.checkpoint_quota_mib * 2**20
    retention = Retention(stage.runs / study.name, settings.keep_checkpoints, quota)

    def tick() -> None:
        stage.lease.renew()
        stage.stop.asked = stage.stop.asked or stage.drain.asked()
        display.tick(study, flights)

    def settle(flight: Flight) -> None:
        retention.after(flight, study.complete_values())
        notice.after(flight)

    recorder = StudyRecorder(study, flights, lambda: display.change(study, flights), tick, settle)
    scheduler = _scheduler(study, flights, stage.early)
    try:
        _tuner(stage, StudySearcher(stage.plan, flights), scheduler, recorder).fit()
    except TuneError as error:
        if (told := _of_the_store(error)) is None:
            raise
        raise told from None
    finally:
        recorder.release_all()
        shutil.rmtree(_ray_folder(stage.runs), ignore_errors=True)


def _of_the_store(error: BaseException | None) -> StorageError | None:
    """What the store said in one of our hooks: Tune raises its own error with the hook's as context."""
    while error is not None and not isinstance(error, StorageError):
        error = error.__cause__ or error.__context__
    return error


def _scheduler(study: StudyStore, flights: dict[str, Flight], early: Early | None) -> TrialScheduler:
    if early is None:
        return FIFOScheduler()
    finished = {trial.number for trial in study.study.get_trials(deepcopy=False) if trial.state.is_finished()}
    curves = read_curves(study.storage.engine, study.name)
    past = {number: curve for number, curve in curves.items() if number in finished}
    return StudyASHA(flights, past, early.epochs, early.grace, early.reduction_factor)


def _tuner(stage: StageRun, searcher: StudySearcher, scheduler: TrialScheduler, recorder: StudyRecorder) -> tune.Tuner:
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what goes wrong is in the study, with its reason
    placed: Any = tune.with_resources(stage.worker, {"cpu": stage.resources.cpus, "gpu": stage.resources.gpus})
    return tune.Tuner(
        placed,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=stage.plan.target - stage.study.num_finished,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=stage.study.name,
            storage_path=str(_ray_folder(stage.runs)),
            callbacks=[recorder],
            stop=stage.stop,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )


def _ray_folder(runs: Path) -> Path:
    """Ray's own bookkeeping, which nothing reads: starting again is resuming."""
    return runs / ".ray"
