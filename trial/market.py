"""The prepared market that a finished trial was trained on, found by its key or prepared again."""

from __future__ import annotations

from pathlib import Path

from optuna.storages import RDBStorage
from rich.console import Console

from data.errors import DataError
from data.prepare import prepare
from data.progress import Shown
from data.store import MarketStore
from search_spaces.config import TrialConfig
from storage.record import TrialRecord, load_study
from trial.settings import read_settings


def market_of(
    storage: RDBStorage,
    study: str,
    record: TrialRecord,
    config: TrialConfig,
    runs: Path,
    panel: Path | None,
    console: Console,
) -> MarketStore:
    """The prepared market by its key; prepared again from the panel where it is gone.

    Raises:
        DataError: neither is there, or the panel is another one.
    """
    key = str(record.attributes["store_key"])
    if (runs / "prepared" / key / "meta.json").exists():
        return MarketStore.open(runs / "prepared" / key)
    path = panel or Path(str(load_study(storage, study).user_attrs.get("panel_path", "")))
    if not path.is_file() and not path.is_dir():
        raise DataError(
            f"the prepared market {key} is gone from {runs}, and so is the panel {path}. Give it with --data."
        )
    market = prepare(path, runs / "prepared", config.data, Shown(console), read_settings().prepare_memory_mib)
    if market.meta.store_key != key:
        raise DataError(
            f"the trial was trained on market {key}, but {path} makes {market.meta.store_key}: it is another panel, or "
            f"has other rows."
        )
    return market
