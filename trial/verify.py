"""`python -m trial.verify BUNDLE [PANEL]`: proves a bundle: whole, strictly loadable, and saying what it said."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow.parquet as pq
import typer

from data.errors import DataError
from data.findings import counted
from data.store import MarketStore
from reports.console import open_console, refused, start
from storage.errors import StorageError
from trial.options import Runs, folder_of
from trial.production.bundle import read_bundle
from trial.production.networks import Member, Networks
from trial.production.panel import open_panel
from trial.production.scoring import Scorer

TOLERANCE = 1e-6  # of a score: rounding, where days are computed in other blocks
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)

BundleFolder = Annotated[Path, typer.Argument(help="Folder that trial.export wrote.", show_default=False)]


@app.command()
def verify(
    bundle: BundleFolder,
    panel: Annotated[
        Path | None, typer.Argument(help="The panel it was exported with, or a longer one.", show_default=False)
    ] = None,
    market: Annotated[
        Path | None, typer.Option(help="A prepared market in its place (a folder).", show_default=False)
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="One set of its networks. (default: every one)", show_default=False)
    ] = None,
    runs: Runs = None,
) -> None:
    """Check every file, load every network strictly, and compare with the predictions that the bundle holds.

    Exit status 2 where anything differs.
    """
    console = open_console()
    try:
        for name in read_bundle(bundle, weights).sets if weights is None else (weights,):
            found = read_bundle(bundle, name)
            networks = found.networks
            console.print(f"whole      {found}, {name}: {_counted(networks)}")
            store = MarketStore.open(market) if market is not None else None
            if panel is not None:
                store = open_panel(networks, panel, folder_of(runs) / "prepared", console)
            if store is not None:
                console.print(f"equal      {compare(networks, store)}")
    except (DataError, StorageError) as error:
        raise refused(error) from None


def compare(networks: Networks, store: MarketStore) -> str:
    """Predicts the days again that each network was scored on.

    Returns:
        what was compared, in words.

    Raises:
        DataError: a prediction differs by more than 1e-6, or the market lacks the days.
    """
    told = []
    for place, member in enumerate(networks.members):
        count, largest = _largest_difference(networks.alone(place), member, store)
        if not largest <= TOLERANCE:
            raise DataError(
                f"member {place} of {networks.name} must predict what it did when it was exported, but of {count:,} "
                f"predictions one differs by {largest:.2g}. Is it the same panel, and the same version of the program?"
            )
        told.append(f"{count:,} predictions of member {place} within {largest:.1e}")
    return "; ".join(told)


def _largest_difference(networks: Networks, member: Member, store: MarketStore) -> tuple[int, float]:
    table = pq.read_table(member.predictions).to_pandas()
    dates = table["date"].to_numpy().astype("datetime64[D]")
    days, stocks = np.searchsorted(store.dates, dates), np.searchsorted(store.codes, table["code"].to_numpy(str))
    inside = (days < store.num_days) & (stocks < len(store.codes))
    known = inside.copy()
    known[inside] = (store.dates[days[inside]] == dates[inside]) & (
        store.codes[stocks[inside]] == table["code"].to_numpy(str)[inside]
    )
    if not known.all():
        raise DataError(
            f"the market must have the {len(table):,} stocks and days that were predicted, but {int((~known).sum()):,} "
            f"are not in it. Give the panel that the sweep was run on, or a longer one."
        )
    then = table[[f"score_{horizon}d" for horizon in networks.horizons]].to_numpy(np.float32)
    now = np.full((int(days.max()) + 1 - int(days.min()), len(store.codes), len(networks.horizons)), np.nan, np.float32)
    for scores in Scorer(networks, store).score(range(int(days.min()), int(days.max()) + 1)):
        now[scores.day - int(days.min()), scores.stocks] = scores.score_nK
    again = now[days - int(days.min()), stocks]
    return then.size, float(np.abs(then - again).max()) if np.isfinite(again).all() else float("inf")


def _counted(networks: Networks) -> str:
    parameters = sum(p.numel() for member in networks.members for p in member.model.parameters())
    return (
        f"{counted(len(networks.members), 'network')}, {parameters:,} parameters, {len(networks.contract.features)} "
        f"features, learned through {networks.trained_through}"
    )


if __name__ == "__main__":
    start(app)
