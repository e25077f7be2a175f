"""One folder per day of published scores: whole or not there, and never yesterday's in the place of today's."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet as pq

from data.store import MarketStore
from reports.monitoring.checks import Check
from reports.monitoring.observed import Observed
from reports.monitoring.page import as_dict, monitor_page
from reports.monitoring.thresholds import Thresholds
from storage.bundle import BundleError, publish, scratch_beside, seal, verify
from trial.production.bundle import Bundle
from trial.production.scoring import Scorer, scores_table

SCORES, SCORES_CSV, PAGE, ABOUT = "scores.parquet", "scores.csv", "monitor.html", "about.json"


def read_publication(folder: Path) -> dict[str, Any] | None:
    """What was published in the folder, proved; None where nothing was.

    Raises:
        BundleError: it is altered.
    """
    if not folder.exists():
        return None
    verify(folder, "a publication", "Give --force to publish the day again.")
    return json.loads((folder / ABOUT).read_text())


def write_publication(
    folder: Path,
    bundle: Bundle,
    store: MarketStore,
    day: int,
    observed: Observed,
    checks: list[Check],
    limits: Thresholds,
    still_wanted: dt.datetime | None,
    force: bool,
) -> bool:
    """Scores of one day, what the monitor says of it, and where both come from; appears at once.

    Args:
        folder: of the day.
        bundle: whose chosen set scores.
        store: the prepared panel.
        day: position in the store.
        observed: what the monitor saw.
        checks: what it said.
        limits: of the checks.
        still_wanted: the deadline, after which nothing is published.
        force: replace what was published.

    Returns:
        whether it was published; False: too late.
    """
    (scores,) = Scorer(bundle.networks, store).score(range(day, day + 1))
    table = scores_table(scores, store, bundle.networks.horizons)
    about = as_dict(observed, checks) | {
        "sha256": bundle.sha256,
        "panel": store.meta.panel_key,
        "panel_ends": str(store.dates[-1]),
        "num_rows": table.num_rows,
        "made": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
    with scratch_beside(folder) as scratch:
        pq.write_table(table, scratch / SCORES, compression="zstd")
        pyarrow.csv.write_csv(table, scratch / SCORES_CSV)
        (scratch / PAGE).write_text(monitor_page(observed, checks, limits))
        (scratch / ABOUT).write_text(json.dumps(about, indent=1) + "\n")
        seal(scratch)
        if still_wanted is not None and dt.datetime.now(still_wanted.tzinfo) > still_wanted:
            return False
        publish(scratch, folder, force)
    return True


def refuse_other_bundle(about: dict[str, Any], bundle: Bundle, folder: Path) -> None:
    """Raises BundleError where another bundle has published the day, or other weights of this one."""
    if (about["sha256"], about["weights"]) != (bundle.sha256, bundle.networks.name):
        raise BundleError(
            f"a day is published once, but {folder} has the scores of {about['bundle']}, weights {about['weights']}. "
            f"Give --force to replace them, or another --out."
        )
