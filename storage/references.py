"""What simple predictors score on a study's folds: beside its trials, since none of them is one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import sqlalchemy as sa
from optuna.storages import RDBStorage

from storage.database import persistently
from storage.tables import references


class Reference(NamedTuple):
    """One predictor on one fold."""

    name: str  # ridge, lightgbm, last_value, random
    fold: str
    key: str  # of the data and settings that it was fitted on
    result: dict[str, Any]  # horizons, daily_rank_ic by ISO day, scorecard, setting


def put_reference(storage: RDBStorage, study: str, reference: Reference) -> None:
    """Writes it in the place of an earlier one of the same name and fold."""
    own = (references.c.study == study) & (references.c.name == reference.name) & (references.c.fold == reference.fold)

    def write() -> None:
        with storage.engine.begin() as connection:
            connection.execute(references.delete().where(own))
            connection.execute(references.insert().values(study=study, **reference._asdict()))

    persistently(write)


def forget_other_references(storage: RDBStorage, study: str, keys: Collection[str]) -> None:
    """Removes those of other data or settings than these keys, so that nothing is held against them meanwhile."""

    def remove() -> None:
        with storage.engine.begin() as connection:
            connection.execute(references.delete().where((references.c.study == study) & references.c.key.not_in(keys)))

    persistently(remove)


def read_references(storage: RDBStorage, study: str) -> list[Reference]:
    """Of a study, by name and fold; none in a store that no program of this version has written to."""
    if not sa.inspect(storage.engine).has_table(references.name):
        return []
    columns = [references.c[name] for name in Reference._fields]
    query = sa.select(*columns).where(references.c.study == study).order_by(references.c.name, references.c.fold)
    with storage.engine.connect() as connection:
        return [Reference(*row) for row in connection.execute(query)]
