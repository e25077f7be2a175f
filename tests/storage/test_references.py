"""What simple predictors score is kept by study, name and fold; it goes and moves with its study."""

from __future__ import annotations

from optuna.storages import RDBStorage

from storage.copy import copy_study
from storage.references import Reference, put_reference, read_references
from storage.remove import remove_study
from storage.tables import references
from tests.storage.conftest import OpenStore
from tests.storage.helpers import open_study

RIDGE = Reference("ridge", "confirm-1", "a", {"horizons": [1], "daily_rank_ic": {"2020-01-02": [0.5]}})


def test_one_of_a_name_and_fold_is_kept(storage: RDBStorage) -> None:
    put_reference(storage, "s", RIDGE)
    put_reference(storage, "s", RIDGE._replace(fold="confirm-2"))
    put_reference(storage, "other", RIDGE)
    newer = RIDGE._replace(key="b", result={"horizons": [5]})
    put_reference(storage, "s", newer)
    assert read_references(storage, "s") == [newer, RIDGE._replace(fold="confirm-2")]
    assert read_references(storage, "none") == []


def test_they_move_with_their_study_and_go_with_it(
    storage: RDBStorage, open_store: OpenStore, tmp_path: object
) -> None:
    study = open_study(storage)
    put_reference(storage, study.name, RIDGE)
    target = open_store(f"sqlite:///{tmp_path}/other.db")
    copy_study(storage, target, study.name)
    assert read_references(target, study.name) == [RIDGE]
    remove_study(storage, study.name)
    assert read_references(storage, study.name) == []


def test_an_older_store_that_is_only_read_has_none(storage: RDBStorage) -> None:
    with storage.engine.begin() as connection:
        references.drop(connection)
    try:
        assert read_references(storage, "s") == []
    finally:
        with storage.engine.begin() as connection:
            references.create(connection)
