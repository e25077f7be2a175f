"""`python -m trial.backtest NAME`: the winner's backtest again, under costs and rules of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from optuna.storages import RDBStorage
from rich.table import Table

from data.errors import DataError
from data.store import MarketStore
from reports.ablation import write_report
from reports.console import open_console, refused, start
from reports.inference.portfolio import Rules
from reports.sections.backtest import HEADINGS, NAMES, row
from storage.database import away_in_words, open_existing
from storage.errors import StorageError
from storage.names import CONFIRM, sweep_of
from storage.record import load_study
from trial.backtest_rows import BACKTEST, keep_backtest, run_backtest
from trial.options import Runs, Storage, SweepName, folder_of, url_of

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command()
def backtest(
    name: SweepName,
    runs: Runs = None,
    storage: Storage = None,
    cost_bps: Annotated[float, typer.Option(help="One-way cost in basis points, where no --section-cost says.")] = 10.0,
    section_cost: Annotated[
        list[str] | None,
        typer.Option(help="One-way cost of a listing section, SECTION=BPS; may be repeated.", show_default=False),
    ] = None,
    share: Annotated[float, typer.Option(help="Of the ranked stocks, in each leg: up to 0.5.")] = 0.1,
    borrow_fee: Annotated[float, typer.Option(help="Annual fee of what is sold short, 0.01 for one per cent.")] = 0.0,
    capital: Annotated[
        float | None, typer.Option(help="In the unit of prices; orders come in whole lots.", show_default=False)
    ] = None,
    lot: Annotated[int | None, typer.Option(help="Shares of a lot; with --capital.", show_default=False)] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Put it into the report, in the place of the one that is there.")
    ] = False,
) -> None:
    """Trade the winner's scores on the confirm folds again, from its predictions.

    What comes out is shown; the report keeps the backtest that it has, unless --keep says otherwise.
    """
    console = open_console()
    sweep = sweep_of(name)
    try:
        with away_in_words():
            opened, folder = open_existing(url_of(storage, runs)), folder_of(runs)
            market = _market(opened, sweep, folder)
            rules = Rules(
                share=share,
                cost_bps=cost_bps,
                section_bps=_section_costs(section_cost or [], market),
                borrow_fee=borrow_fee,
                capital=capital,
                lot=lot,
            )
            found = run_backtest(opened, sweep, market, folder, rules).get(BACKTEST, {"why": "no winner was confirmed"})
            if "why" in found:
                raise DataError(f"a backtest needs a winner that was confirmed here, but {found['why']}.")
            report = folder / sweep / "report.html"
            if keep:
                keep_backtest(opened, sweep, market, folder, rules)
                write_report(opened, sweep, report)
    except (StorageError, DataError, ValueError) as error:
        raise refused(error) from None
    table = Table(box=None)
    for heading in HEADINGS:
        table.add_column(heading)
    for side, one in found["sides"].items():
        table.add_row(*row(NAMES[side], one))
    console.print(table)
    if keep:
        console.print(f"report: {report}", soft_wrap=True)
    else:
        console.print("the report is as it was; --keep puts this one into it")


def _market(storage: RDBStorage, sweep: str, runs: Path) -> MarketStore:
    key = str(load_study(storage, f"{sweep}{CONFIRM}").user_attrs.get("store"))
    folder = runs / "prepared" / key
    if not (folder / "meta.json").exists():
        raise DataError(f"the prepared market must be there, but {folder} is not. Run the sweep's command again.")
    return MarketStore.open(folder)


def _section_costs(given: list[str], market: MarketStore) -> dict[int, float] | None:
    """By the code of the section."""
    if not given:
        return None
    names = ["", *market.meta.vocabularies.get("section", ())]
    costs = {}
    for text in given:
        section, _, bps = text.rpartition("=")
        if section not in names[1:]:
            known = ", ".join(names[1:]) or "none: the panel has no column of sections"
            raise DataError(f"--section-cost must be SECTION=BPS of a section of the panel ({known}), got {text!r}.")
        try:
            costs[names.index(section)] = float(bps)
        except ValueError:
            raise DataError(
                f"--section-cost must be SECTION=BPS with a number of basis points, got {text!r}."
            ) from None
    return costs


if __name__ == "__main__":
    start(app)
