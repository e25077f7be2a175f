"""The command lines of this package: `python -m data.prepare`, `python -m data.inspect`, `python -m data.synthetic`."""

from __future__ import annotations

import functools
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from data.config import DataConfig
from data.describe import describe
from data.errors import DataError
from data.findings import Finding, counted
from data.inspect import inspect
from data.prepare import MEMORY_MIB, prepare
from data.progress import Shown
from data.settings import read_data_config, suited
from data.store import MarketStore
from data.synthetic import LARGEST_EFFECT, SyntheticConfig, optimum, write_market

BAD_INPUT, INTERRUPTED = 2, 130
PANEL = Annotated[Path, typer.Argument(help="Parquet file, folder, or hive-partitioned tree.", show_default=False)]
CONFIG = Annotated[
    Path | None,
    typer.Option(help="YAML of the data settings: columns, universe, labels, splits.", show_default=False),
]
MEMORY = Annotated[int, typer.Option("--memory", min=64, help="MiB that the work may hold in memory.")]


def _app(command: Callable[..., Any]) -> typer.Typer:
    """One function as a command line; Ctrl-C ends it with a word."""
    app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except KeyboardInterrupt:
            print("interrupted: nothing half-written stays; the same command begins anew", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None

    app.command()(run)
    return app


def _console() -> Console:
    return Console(soft_wrap=not sys.stdout.isatty(), highlight=False, markup=False)


def _say_next(console: Console, *arguments: str) -> None:
    """A command that can be copied: quoted, on one line."""
    console.print(f"next: python -m trial.sweep gat_ablation {shlex.join(arguments)}", soft_wrap=True)


def _refuse(error: DataError) -> typer.Exit:
    for line in str(error).splitlines():
        print(f"error: {line}", file=sys.stderr)
    return typer.Exit(BAD_INPUT)


def prepare_command(
    panel: PANEL,
    runs: Annotated[Path, typer.Option(help="Folder of a sweep; the store goes to its prepared/.")] = Path("runs"),
    data_config: CONFIG = None,
    memory: MEMORY = MEMORY_MIB,
) -> None:
    """Turn a panel into the store that every trial maps. A sweep does the same; twice does nothing."""
    console = _console()
    try:
        settings = suited(read_data_config(data_config) or DataConfig(), panel)
        store = prepare(panel, runs / "prepared", settings, Shown(console), memory)
        splits = store.splits(settings)
        lines = describe(store, settings)
    except DataError as error:
        raise _refuse(error) from error
    _print_store(store, lines, console)
    for fold in splits.folds:
        first, last = store.dates[fold.score[0]], store.dates[fold.score[-1]]
        console.print(f"fold {fold.name}: {len(fold.train)} training days, scored {first} .. {last}")
    for sentence in splits.doubts:
        console.print(f"doubt: {sentence}")
    told = ["--data-config", str(data_config)] if data_config else []
    _say_next(console, "--data", str(panel), "--runs", str(runs), *told)


def _print_store(store: MarketStore, lines: dict[str, str], console: Console) -> None:
    meta = store.meta
    for sentence in meta.doubts:
        console.print(f"doubt: {sentence}")
    days, stocks = counted(len(meta.dates), "day"), counted(len(meta.codes), "stock")
    console.print(f"store: {store.folder} ({days} {meta.dates[0]} .. {meta.dates[-1]}, {stocks})")
    for topic, sentence in lines.items():
        console.print(f"{topic}: {sentence}")


def inspect_command(panel: PANEL, data_config: CONFIG = None, memory: MEMORY = MEMORY_MIB) -> None:
    """Look for everything that is wrong, or looks wrong, with a panel. Exit status 2 where a sweep would refuse it."""
    console = _console()
    try:
        report = inspect(panel, read_data_config(data_config), Shown(console), memory)
    except DataError as error:
        raise _refuse(error) from error
    console.print(report.summary)
    for sentence in report.notes:
        console.print(f"note: {sentence}")
    if not report.findings:
        console.print("nothing found")
        return
    console.print(_table(report.findings, console))
    errors = sum(finding.severity == "error" for finding in report.findings)
    console.print(f"{counted(errors, 'error')}, {counted(len(report.findings) - errors, 'doubt')}")
    if errors:
        raise typer.Exit(BAD_INPUT)


def _table(findings: list[Finding], console: Console) -> Table:
    """Count, example and way out share a column, so that 80 characters are enough."""
    width = None if console.is_terminal else shutil.get_terminal_size((160, 24)).columns
    table = Table(show_lines=True, width=width)
    for title in ("", "check", "column"):
        table.add_column(title, overflow="fold", min_width=5)
    table.add_column("count, example, and what to do", overflow="fold", ratio=1)
    for f in findings:
        table.add_row(f.severity, f.check, f.column, f"{f.offence}\n{f.law}. {f.way_out}")
    return table


def _effect(meaning: str, largest: float) -> Any:
    return typer.Option(min=0, max=largest, help=meaning, show_default=False)


def synthetic_command(
    out: Annotated[Path, typer.Argument(help="Parquet file to write.", show_default=False)],
    stocks: Annotated[int, typer.Option(min=10, help="Stocks.")] = 500,
    days: Annotated[int, typer.Option(min=60, help="Trading days.")] = 1250,
    sectors: Annotated[int, typer.Option(min=1, help="Sectors.")] = 11,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal bytes.")] = 7,
    spillover: Annotated[
        float | None, _effect("Effect along the hidden neighbour graph. (default: 1)", LARGEST_EFFECT)
    ] = None,
    momentum: Annotated[
        float | None, _effect("Effect of the stock's own moves, over weeks. (default: 0.2)", LARGEST_EFFECT)
    ] = None,
    reversal: Annotated[float | None, _effect("Share of a move that turns back. (default: 0)", 1)] = None,
    regime: Annotated[
        float | None, _effect("Effect of wildness in a scale that changes. (default: 0)", LARGEST_EFFECT)
    ] = None,
    null: Annotated[bool, typer.Option("--null", help="No effect at all: nothing can be predicted.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
) -> None:
    """Generate a market with planted effects, and say what the best possible predictor would score on it."""
    console = _console()
    asked = {"spillover": spillover, "momentum": momentum, "reversal": reversal, "regime": regime}
    effects = {name: size for name, size in asked.items() if size is not None}
    try:
        size = {"num_stocks": stocks, "num_days": days, "num_sectors": sectors, "seed": seed}
        if null and effects:
            raise DataError(f"a --null market has no effects, but there is --{' and --'.join(effects)} too. Drop one.")
        config = SyntheticConfig.null(**size) if null else SyntheticConfig.model_validate(size | effects)
        if out.exists() and not force:
            raise DataError(f"the market goes to a new file, but {out} is there. Choose another name, or give --force.")
        out.parent.mkdir(parents=True, exist_ok=True)
        with Shown(console).rows("writing rows", stocks * days) as tick:
            write_market(out, config, tick)
    except (OSError, ValidationError) as error:
        raise _refuse(DataError(f"the market cannot be written to {out}: {error}. Choose another file.")) from error
    except DataError as error:
        raise _refuse(error) from error
    scores = ", ".join(f"{h}d {score:+.4f}" for h, score in zip((1, 5, 10, 20), optimum(config), strict=True))
    console.print(f"{out}: {counted(stocks, 'stock')} x {counted(days, 'day')}")
    console.print(f"best possible mean daily RankIC, entered one close later: {scores}")
    try:
        suited(DataConfig(), out)
    except DataError as error:
        console.print(f"note: too short for a sweep. {error}")
    else:
        _say_next(console, "--data", str(out))


prepare_app: typer.Typer = _app(prepare_command)
inspect_app: typer.Typer = _app(inspect_command)
synthetic_app: typer.Typer = _app(synthetic_command)
