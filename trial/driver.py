"""One stage of a sweep on Ray Tune: searcher, scheduler and recorder around one study."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

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
from trial.stop import StopRequest
from trial.worker import SweepTrial


def run_stage(
    study: StudyStore,
    plan: Plan,
    lease: Lease,
    early: Early | None,
    resources: Resources,
    stop: StopRequest,
    display: Display,
    runs: Path,
    worker: type[tune.Trainable] = SweepTrial,
) -> None:
    """Runs until the plan's target of finished trials is reached or `stop` asks; leaves nothing RUNNING.

    A trial whose worker was taken away waits, and is handed out again: by this round, or by the next one. A round that
    finished nothing is the last, so that a machine which takes every worker away does not keep the driver for ever.

    Raises:
        StorageError: the store stayed away, or the lease was lost.
    """
    finished = -1
    while finished < study.num_finished < plan.target and stop.reason is None:
        finished = study.num_finished
        _run_round(study, plan, lease, early, resources, stop, display, runs, worker)


def _run_round(
    study: StudyStore,
    plan: Plan,
    lease: Lease,
    early: Early | None,
    resources: Resources,
    stop: StopRequest,
    display: Display,
    runs: Path,
    worker: type[tune.Trainable],
) -> None:
    """One run of Tune, of as many trials as the plan still lacks."""
    flights: dict[str, Flight] = {}

    def tick() -> None:
        lease.renew()
        display.tick(study, flights)

    settings = read_settings()
    notice = FailureNotice(settings)
    retention = Retention(runs / study.name, settings.keep_checkpoints, settings.checkpoint_quota_mib * 2**20)

    def settle(flight: Flight) -> None:
        retention.after(flight, study.complete_values())
        notice.after(flight)

    recorder = StudyRecorder(study, flights, lambda: display.change(study, flights), tick, settle)
    searcher, scheduler = StudySearcher(plan, flights), _scheduler(study, flights, early)
    missing = plan.target - study.num_finished
    try:
        _tuner(study, searcher, scheduler, recorder, resources, stop, runs, missing, worker).fit()
    finally:
        recorder.release_all()
        shutil.rmtree(_ray_folder(runs), ignore_errors=True)


def _scheduler(study: StudyStore, flights: dict[str, Flight], early: Early | None) -> TrialScheduler:
    if early is None:
        return FIFOScheduler()
    finished = {trial.number for trial in study.study.get_trials(deepcopy=False) if trial.state.is_finished()}
    curves = read_curves(study.storage.engine, study.name)
    past = {number: curve for number, curve in curves.items() if number in finished}
    return StudyASHA(flights, past, early.epochs, early.grace, early.reduction_factor)


def _tuner(
    study: StudyStore,
    searcher: StudySearcher,
    scheduler: TrialScheduler,
    recorder: StudyRecorder,
    resources: Resources,
    stop: StopRequest,
    runs: Path,
    num_trials: int,
    worker: type[tune.Trainable],
) -> tune.Tuner:
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what goes wrong is in the study, with its reason
    placed: Any = tune.with_resources(worker, {"cpu": resources.cpus, "gpu": resources.gpus})
    return tune.Tuner(
        placed,
        tune_config=tune.TuneConfig(
            search_alg=searcher, scheduler=scheduler, num_samples=num_trials, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            name=study.name,
            storage_path=str(_ray_folder(runs)),
            callbacks=[recorder],
            stop=stop,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )


def _ray_folder(runs: Path) -> Path:
    """Ray's own bookkeeping, which nothing reads: starting again is resuming."""
    return runs / ".ray"
