"""A panel for networks: read as the network's own was, inspected by the same laws, its columns known again."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from data.errors import DataError
from data.fingerprint import refuse_other_columns
from data.prepare import prepare
from data.progress import Shown
from data.store import MarketStore
from trial.production.networks import Networks
from trial.settings import read_settings


def open_panel(
    networks: Networks, panel: Path, prepared: Path, console: Console, with_labels: bool = False
) -> MarketStore:
    """Prepares the panel, every day of it, under `prepared`; what an earlier morning prepared is copied.

    Args:
        networks: that are to score it.
        panel: Parquet file or folder.
        prepared: folder of prepared markets.
        console: for progress and doubts.
        with_labels: compute what came of the scores, too, where the panel has what labels are made of.

    Raises:
        DataError: no such panel, one that the inspection refuses, other columns, or too few days.
    """
    if not panel.exists():
        raise DataError(f"a panel must be there to be scored, but {panel} is not. Check the path.")
    settings = networks.contract.settings_watched if with_labels else networks.contract.settings_for
    config = settings(panel, networks.members[0].config.data)
    store = prepare(panel, prepared, config, Shown(console), read_settings().prepare_memory_mib)
    networks.contract.order(store)
    if (why := refuse_other_columns(networks.fingerprint, store)) is not None:
        console.print(f"doubt      the columns could not be held against those that were learned from: {why}")
    return store
