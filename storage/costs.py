"""What studies cost, over all attempts at all trials: those that were pruned, failed, or left by a dead driver too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from optuna.trial import FrozenTrial

from storage.tables import attempts
from storage.writes import insert_new

DRIVER_DIED = "driver_died"  # ending of an attempt whose driver left no word


class Cost(NamedTuple):
    """Of one study."""

    attempts: int
    wall_seconds: float  # of workers, waiting for them included
    train_seconds: float
    gpu_seconds: float


def read_costs(engine: sa.Engine, studies: Iterable[str]) -> dict[str, Cost]:
    """Study -> cost; nothing of one without an attempt that is over."""
    sums = [
        sa.func.sum(column) for column in (attempts.c.wall_seconds, attempts.c.train_seconds, attempts.c.gpu_seconds)
    ]
    query = sa.select(attempts.c.study, sa.func.count(), *sums).where(attempts.c.study.in_(list(studies)))
    with engine.connect() as connection:
        return {study: Cost(*rest) for study, *rest in connection.execute(query.group_by(attempts.c.study))}


def charge_dead(connection: sa.Connection, study: str, trial: FrozenTrial, curve: Sequence[dict[str, Any]]) -> None:
    """The attempt that a dead driver left: the epochs that were recorded of it. Nothing where it had ended already."""
    attempt = int(trial.user_attrs.get("attempts", 0)) - 1
    if attempt < 0:
        return
    own = (attempts.c.study == study) & (attempts.c.number == trial.number)
    before = connection.execute(sa.select(sa.func.sum(attempts.c.epochs)).where(own, attempts.c.attempt < attempt))
    results = curve[before.scalar() or 0 :]
    seconds = sum(result["seconds"] for result in results)
    row = {
        "study": study,
        "number": trial.number,
        "attempt": attempt,
        "ending": DRIVER_DIED,
        "epochs": len(results),
        "wall_seconds": seconds,  # at least: when it began, nobody knows any more
        "train_seconds": seconds,
        "gpu_seconds": seconds * trial.user_attrs.get("gpus", 0.0),
        "peak_memory_mib": max((result["peak_memory_mib"] for result in results), default=None),
    }
    insert_new(connection, attempts, row)
