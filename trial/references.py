"""`python -m trial.references CONFIG.yaml`: ridge and LightGBM on a configuration's days, beside trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from data.errors import DataError
from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from storage.database import open_existing
from storage.errors import StorageError
from storage.record import TrialRecord, read_records
from trial.baselines import BASELINES, baseline_scores
from trial.build import blocks_of
from trial.console import open_console, refused
from trial.scorecard import Card, scorecard
from trial.settings import read_settings
from trial.single import TrainRequest, prepare_training

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command()
def references(
    config: Annotated[Path, typer.Argument(help="YAML of a configuration, as for trial.train.")],
    data: Annotated[
        Path | None, typer.Option(help="Panel. (default: the synthetic market)", show_default=False)
    ] = None,
    runs: Annotated[Path | None, typer.Option(help="Folder of runs. (default: runs)", show_default=False)] = None,
    storage: Annotated[
        str | None, typer.Option(help="Database. (default: sqlite:///<runs>/sweeps.db)", show_default=False)
    ] = None,
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
        request = TrainRequest(config=config, panel=data, runs=runs or read_settings().runs, storage=storage, fold=fold)
        rows = _rows(request, [name.strip() for name in only.split(",")], beside, console)
    except (SpaceError, DataError, StorageError) as error:
        raise refused(error) from None
    console.print(rows)


def _rows(request: TrainRequest, names: list[str], beside: str | None, console: Console) -> Table:
    prepared = prepare_training(request, console)
    market, config = prepared.market, prepared.config
    assert market is not None, "prepared for training"
    blocks = blocks_of(config, market)
    trained = _trained(request, beside, config) if beside else []
    first, last = (market.dates[blocks.fold.score[place]] for place in (0, -1))
    table = _table(f"RankIC on {first} .. {last} ({len(blocks.fold.score)} days, fold {blocks.fold.name})", config)
    for name in names:
        with console.status(f"fitting {name}"):
            scores, setting = baseline_scores(name, blocks, config)
        _add(table, f"{name} ({setting:g})", scorecard(scores, market, config), config)
    for record in trained:
        _add(table, f"{beside} trial {record.number}, seed {record.seed}", record.curve[-1]["scorecard"], config)
    if len(trained) > 1:
        cards = [record.curve[-1]["scorecard"] for record in trained]
        mean = {key: sum(card[key] for card in cards) / len(cards) for key in cards[0] if all(key in c for c in cards)}
        _add(table, f"{beside}, mean of {len(cards)}", mean, config)
    return table


def _trained(request: TrainRequest, study: str, config: TrialConfig) -> list[TrialRecord]:
    """The study's COMPLETE trainings of the fold."""
    records = read_records(open_existing(request.storage_url), study)
    found = [record for record in records if record.state == "COMPLETE" and record.fold == config.fold]
    if not found:
        raise StorageError(f"--beside must name a study with a finished training of fold {config.fold}, got {study!r}.")
    return found


def _table(title: str, config: TrialConfig) -> Table:
    table = Table(box=None, title=title, title_justify="left")
    table.add_column("")
    for horizon in config.data.horizons:
        table.add_column(f"{horizon}d", justify="right")
    for heading in ("weighted", "neutral", "Sharpe, net"):
        table.add_column(heading, justify="right")
    return table


def _add(table: Table, name: str, card: Card, config: TrialConfig) -> None:
    keys = [*(f"rank_ic/{horizon}" for horizon in config.data.horizons), "rank_ic", "neutral_rank_ic"]
    sharpe = f"{card['sharpe']:+.2f}" if "sharpe" in card else ""
    table.add_row(name, *(f"{card[key]:+.4f}" if key in card else "" for key in keys), sharpe)


if __name__ == "__main__":
    app()
