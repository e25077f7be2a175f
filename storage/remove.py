"""Removing a study with everything of it that our tables hold. Provenances stay: other studies may share them; so
does the ledger, because what was tried on a market was tried."""

from __future__ import annotations

import optuna
import sqlalchemy as sa
from optuna.storages import RDBStorage

from storage.tables import attempts, epochs, events, references


def remove_study(storage: RDBStorage, name: str) -> None:
    """Our rows first, so that a removal that is cut short is still seen, and can be finished, by name.

    Raises:
        KeyError: no such study.
    """
    with storage.engine.begin() as connection:
        for table in (epochs, events, attempts, references):
            connection.execute(sa.delete(table).where(table.c.study == name))
    optuna.delete_study(study_name=name, storage=storage)
