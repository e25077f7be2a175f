"""What studies cost, over all attempts at all trials, those that were pruned or failed among them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import sqlalchemy as sa

from storage.tables import attempts


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
