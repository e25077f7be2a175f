"""What several tests of the store need: results to record, parameters to draw, threads that start together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

import optuna
import sqlalchemy as sa
from optuna.storages import RDBStorage

from storage.attempt import EpochReport
from storage.study import StudyStore

Result = TypeVar("Result")


def epoch_result(epoch: int, value: float) -> dict[str, Any]:
    """One EpochResult as the worker sends it."""
    return {
        "epoch": epoch,
        "is_last": False,
        "value": value,
        "best_so_far": value,
        "losses": {"huber": 0.5},
        "daily_rank_ic": {"2020-01-02": [0.25, None]},
        "seconds": 1.5,
        "peak_memory_mib": 800.0,
    }


def report(trial: optuna.Trial, epoch: int, value: float, /, **more: Any) -> EpochReport:
    """One epoch of a trial's first attempt; `more` changes its result."""
    return EpochReport(trial._trial_id, trial.number, epoch_result(epoch, value) | more)


def open_study(storage: RDBStorage, seed: int = 1, name: str = "gat_ablation") -> StudyStore:
    """The study as a driver opens it, with a sampler of its own."""
    return StudyStore(storage, name, optuna.samplers.RandomSampler(seed=seed))


def draw(trial: optuna.Trial) -> dict[str, Any]:
    """Suggests a categorical, a conditional and a log-float parameter."""
    if trial.suggest_categorical("gat", (True, False)):
        trial.suggest_categorical("gat_heads", (2, 4, 8))
    trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    return trial.params


def rows_of(engine: sa.Engine, table: sa.Table) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(sa.select(table)).mappings()]


def at_once(*actions: Callable[[], Result]) -> list[Result | Exception]:
    """What each action returned or raised, all of them let go at the same moment."""
    barrier = Barrier(len(actions))

    def run(action: Callable[[], Result]) -> Result | Exception:
        barrier.wait()
        try:
            return action()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))
