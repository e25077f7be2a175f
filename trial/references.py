"""`python -m trial.references CONFIG.yaml`: ridge and LightGBM on a configuration's days, beside trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.table import Table
from statsmodels.regression.linear_model import OLS

from data.errors import DataError
from model.metrics import rank_ic
from reports.console import open_console, refused, start
from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from storage.database import open_existing
from storage.errors import StorageError
from storage.record import TrialRecord, read_records
from trial.baselines import BASELINES, baseline_scores, refuse_unknown
from trial.build import blocks_of
from trial.options import Runs, Storage, folder_of
from trial.scorecard import Card, scorecard
from trial.train_request import TrainRequest, prepare_training

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command()
def references(
    config: Annotated[Path, typer.Argument(help="YAML of a configuration, as for trial.train.")],
    data: Annotated[
        Path | None, typer.Option(help="Panel. (default: the synthetic market)", show_default=False)
    ] = None,
    runs: Runs = None,
    storage: Storage = None,
    fold: Annotated[
        str | None, typer.Option(help="search, confirm-1, .. (default: the configuration's)", show_default=False)
    ] = None,
    only: Annotated[str, typer.Option(help="Which, comma between.")] = ",".join(BASELINES),
    beside: Annotated[
        str | None, typer.Option(help="Study whose finished trainings of this fold are shown too.", show_default=False)
    ] = None,
) -> None:
    """Fit ridge and LightGBM on a fold's training days, score its scored days, and show them beside trainings."""
    console = open_console()
    try:
        request = TrainRequest(config=config, panel=data, runs=folder_of(runs), storage=storage, fold=fold)
        rows = _rows(request, [name.strip() for name in only.split(",")], beside, console)
    except (SpaceError, DataError, StorageError) as error:
        raise refused(error) from None
    console.print(rows)
    if beside is None:
        console.print(f"--beside {config.stem} would show the finished trainings of that study too")


def _rows(request: TrainRequest, names: list[str], beside: str | None, console: Console) -> Table:
    refuse_unknown(names)
    prepared = prepare_training(request, console)
    market, config = prepared.market, prepared.config
    assert market is not None, "prepared for training"
    blocks = blocks_of(config, market)
    trained = _trained(request, beside, config) if beside else []
    first, last = (market.dates[blocks.fold.score[place]] for place in (0, -1))
    title = f"RankIC on {first} .. {last} ({len(blocks.fold.score)} days, fold {blocks.fold.name})"
    table = _table(f"{title}, {beside} by seed" if trained else title, config)
    dates = [str(market.dates[day]) for day in blocks.fold.score]
    daily_by_name: dict[str, pd.DataFrame] = {}
    for name in names:
        with console.status(f"fitting {name}"):
            scores, setting = baseline_scores(name, blocks, config)
        _add(table, f"{name} ({setting:g})", scorecard(scores, market, config), config)
        values = rank_ic(scores.score, scores.label, scores.mask, config.data.min_stocks)
        daily_by_name[name] = pd.DataFrame(values, index=dates)
    if trained:
        _add_trained(table, trained, config)
        mean = sum(_daily(record) for record in trained) / len(trained)
        for name, daily in daily_by_name.items():
            _add_difference(table, f"less {name}", mean - daily, config)
    return table


def _add_trained(table: Table, trained: list[TrialRecord], config: TrialConfig) -> None:
    """Each training, and the mean of several."""
    cards = [record.curve[-1]["scorecard"] for record in trained]
    for record, card in zip(trained, cards, strict=True):
        _add(table, f"seed {record.seed}, trial {record.number}", card, config)
    if len(cards) > 1:
        mean = {key: sum(card[key] for card in cards) / len(cards) for key in cards[0] if all(key in c for c in cards)}
        _add(table, f"mean of {len(cards)}", mean, config)


def _daily(record: TrialRecord) -> pd.DataFrame:
    """RankIC by day and horizon; missing where it is not defined."""
    return pd.DataFrame.from_dict(record.curve[-1]["daily_rank_ic"], orient="index", dtype=float)


def _add_difference(table: Table, name: str, daily: pd.DataFrame, config: TrialConfig) -> None:
    """Mean of the daily differences, and its standard error, which knows that labels of h days overlap.

    Newey & West 1987 with h - 1 lags.
    """
    pairs = [_mean_and_error(daily[k], horizon - 1) for k, horizon in enumerate(config.data.horizons)]
    table.add_row(name, *(pair[0] for pair in pairs), style="dim")
    table.add_row("  std. error", *(pair[1] for pair in pairs), style="dim")


def _mean_and_error(daily: pd.Series, lags: int) -> tuple[str, str]:
    """Empty where no day has both: a reference that ranks nothing has no RankIC."""
    known = daily.dropna().to_numpy()
    if len(known) <= lags:
        return "", ""
    fitted = OLS(known, np.ones(len(known))).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
    return f"{fitted.params[0]:+.4f}", f"{fitted.bse[0]:.4f}"


def _trained(request: TrainRequest, study: str, config: TrialConfig) -> list[TrialRecord]:
    """The study's COMPLETE trainings of the fold."""
    records = read_records(open_existing(request.storage_url), study)
    found = [record for record in records if record.state == "COMPLETE" and record.fold == config.fold]
    if not found:
        raise StorageError(f"--beside must name a study with a finished training of fold {config.fold}, got {study!r}.")
    return found


def _table(title: str, config: TrialConfig) -> Table:
    table = Table(box=None, title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for horizon in config.data.horizons:
        table.add_column(f"{horizon}d", justify="right")
    for heading in ("overall", "neutral", "Sharpe"):
        table.add_column(heading, justify="right")
    return table


def _add(table: Table, name: str, card: Card, config: TrialConfig) -> None:
    keys = [*(f"rank_ic/{horizon}" for horizon in config.data.horizons), "rank_ic", "neutral_rank_ic"]
    sharpe = f"{card['sharpe']:+.2f}" if "sharpe" in card else ""
    table.add_row(name, *(f"{card[key]:+.4f}" if key in card else "" for key in keys), sharpe)


if __name__ == "__main__":
    start(app)
