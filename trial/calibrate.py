"""`python -m trial.calibrate`: whether verdicts are right as often as they say, on markets whose truth is known."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from data.errors import DataError
from reports.calibration import Calibration, Rate, calibrate
from reports.console import open_console, refused, start
from reports.inference.simulated import Days, Setting
from reports.inference.verdict import ALPHA
from search_spaces.errors import SpaceError
from storage.errors import StorageError
from trial.cluster import cluster
from trial.planted import PLANTED, Kind, Size, has_word, is_found, run_market
from trial.resources import ClusterError, Resources
from trial.settings import read_settings

MOST_FALSE, LEAST_COVERED = 0.06, 0.94  # shares, of the statistics
MOST_FALSE_BOUND, LEAST_FOUND_BOUND = 0.07, 0.90  # of the pipeline: what its exact bounds may not exclude
FAILED, INTERRUPTED = 1, 130
TRUTH = (-0.02, 0.01, 0.0, 0.0)  # true differences of daily RankIC; two arms have none
KINDS: tuple[Days, ...] = ("normal", "heavy", "regimes", "drifting")
BEYOND: Days = "drifting"  # more persistence than the labels' overlap makes: counted and shown, not promised
SETTINGS = [
    *(Setting(days, horizon, kind) for kind in KINDS for days in (250, 500, 1000) for horizon in (1, 5, 20)),
    *(Setting(500, horizon, seed_sd=0.01) for horizon in (1, 5, 20)),
    *(Setting(days, horizon, effects=TRUTH) for days in (250, 500, 1000) for horizon in (1, 5, 20)),
]
HEADINGS = ("days", "h", "shocks", "seeds' sd", "effects", "false word", "covered", "all arms", "found", "seeds")
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.callback()
def about() -> None:
    """Count false and missed verdicts where the truth is known."""


@app.command()
def statistics(
    markets: Annotated[int, typer.Option(min=1, help="Simulated markets per setting.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of the first market.")] = 0,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes. (default: CPUs)", show_default=False)] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the counts here.")] = None,
) -> None:
    """Simulate daily differences of four arms, give verdicts on them as the report does, and count.

    Exit status 1 where more than 6 % of the markets without an effect got a word, or fewer than 94 % of the intervals
    hold the truth. Markets whose skill drifts for weeks, on top of what overlapping labels share, are counted and
    shown, but nothing is promised of them.
    """
    console = open_console()
    work = [(setting, markets, seed) for setting in SETTINGS]
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs or os.cpu_count(), mp_context=spawned) as pool:
        each = pool.map(_calibrated, work)
        progress = Console(stderr=True, quiet=not console.is_terminal)
        found = list(track(each, "simulating", total=len(work), console=progress, transient=True))
    console.print(_table(found))
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(one) for one in found], indent=1))
    promised = [one for one in found if one.setting.kind != BEYOND]
    missed = [miss for one in promised for miss in _misses(one)]
    for miss in missed:
        told = "failed" if miss.is_shown else "not told apart from the nominal share by so few markets"
        console.print(f"{told}: {miss.sentence}", soft_wrap=True)
    if any(miss.is_shown for miss in missed):
        raise typer.Exit(FAILED)
    if missed:
        return
    told = f"all {len(promised)} settings: at most {MOST_FALSE:.0%} false, at least {LEAST_COVERED:.0%} covered"
    beyond = len(found) - len(promised)
    console.print(told + (f"; {beyond} with skill that drifts are beyond what is promised" if beyond else ""))


@app.command()
def pipeline(
    folder: Annotated[Path, typer.Argument(help="Keeps one small file per market; the same command goes on.")],
    null: Annotated[int, typer.Option(min=0, help="Markets without an effect.")] = 40,
    graph: Annotated[int, typer.Option(min=0, help="Markets in which neighbours' moves spill over.")] = 30,
    frequency: Annotated[int, typer.Option(min=0, help="Markets whose scale changes by regimes.")] = 30,
) -> None:
    """Tune, confirm and judge on planted markets with real training, one after the other, and count.

    A market that other code has judged is judged anew. Exit status 1 where a market got no verdict, the lower bound of
    false words exceeds 7 %, or the upper bound of what was found is below 90 %.
    """
    console, settings = open_console(), read_settings()
    wanted: dict[Kind, int] = {"null": null, "graph": graph, "frequency": frequency}
    found: list[dict[str, Any]] = []
    try:
        with cluster(None, Resources(), settings):
            for kind, number in _in_turns(wanted):
                found.append(run_market(folder, kind, number, Size(), Console(quiet=True)))
                console.print(_line(found[-1]))
    except (SpaceError, DataError, StorageError, ClusterError) as error:
        raise refused(error) from None
    except KeyboardInterrupt:
        console.print(f"{len(found)} markets are judged; the same command goes on")
        raise typer.Exit(INTERRUPTED) from None
    console.print(_counts(found))
    if wrong := _wrong(found):
        console.print(f"failed: {wrong}")
        raise typer.Exit(FAILED)


def _in_turns(wanted: dict[Kind, int]) -> Iterator[tuple[Kind, int]]:
    """Kinds take turns, so that what is there early says something of each."""
    for number in range(max(wanted.values(), default=0)):
        yield from ((kind, number) for kind, most in wanted.items() if number < most)


def _line(found: dict[str, Any]) -> str:
    words = ", ".join(_arm(found, arm) for arm in found["words"])
    return f"{found['kind']} {found['number']}: {words or found['why']}; {found['seconds']:.0f} s"


def _arm(found: dict[str, Any], arm: str) -> str:
    word = found["words"][arm].removesuffix(" larger than")
    return f"{arm} {word} ({found['means'][arm]:+.4f} +- {found['errors'][arm]:.4f}, {found['seeds'][arm]} seeds)"


def _rates(found: list[dict[str, Any]]) -> dict[Kind, Rate]:
    """Of markets that got verdicts: a false word where nothing is planted, what is planted found elsewhere."""
    rates: dict[Kind, Rate] = {}
    for kind in PLANTED:
        own = [one for one in found if one["kind"] == kind and one["words"]]
        if own:
            rates[kind] = Rate(sum(map(has_word if kind == "null" else is_found, own)), len(own))
    return rates


def _counts(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, title="planted markets, with exact 95 % bounds", title_justify="left")
    for heading in ("market", "number", "what", "share"):
        table.add_column(heading)
    for kind, rate in _rates(found).items():
        what = "a false word" if kind == "null" else f"{PLANTED[kind].needed} hurts"
        table.add_row(kind, str(rate.number), what, _shown(rate))
    return table


def _wrong(found: list[dict[str, Any]]) -> str:
    unjudged = [f"{one['kind']} {one['number']} ({one['why']})" for one in found if not one["words"]]
    told = [f"no verdict on {', '.join(unjudged)}"] if unjudged else []
    for kind, rate in _rates(found).items():
        low, high = rate.bounds
        if kind == "null" and low > MOST_FALSE_BOUND:
            told.append(f"false words on null markets: {_shown(rate)}")
        if kind != "null" and high < LEAST_FOUND_BOUND:
            told.append(f"the {kind} effect is found too seldom: {_shown(rate)}")
    return "; ".join(told)


def _calibrated(work: tuple[Setting, int, int]) -> Calibration:
    return calibrate(*work)


class Miss(NamedTuple):
    """A share on the wrong side of what is promised."""

    sentence: str
    is_shown: bool  # whether its exact bounds exclude the nominal share too


def _misses(one: Calibration) -> Iterator[Miss]:
    if one.false.share > MOST_FALSE:
        yield Miss(f"{_setting(one)}: {_shown(one.false)} of the markets got a false word", one.false.bounds[0] > ALPHA)
    if one.covered.share < LEAST_COVERED:
        told = f"{_setting(one)}: {_shown(one.covered)} of the intervals hold the truth"
        yield Miss(told, one.covered.bounds[1] < 1 - ALPHA)


def _setting(one: Calibration) -> str:
    own = one.setting
    return f"{own.days} days, horizon {own.horizon}, {own.kind}, deviation of the seeds {own.seed_sd:g}"


def _table(found: list[Calibration]) -> Table:
    table = Table(box=None, title="shares of simulated markets or arms, with exact 95 % bounds", title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("shocks", "effects") else "right")
    for one in found:
        own = one.setting
        planted = ", ".join(f"{effect:+g}" for effect in own.effects if effect) or "none"
        shares = map(_shown, (one.false, one.covered, one.all_covered, one.found))
        table.add_row(
            str(own.days), str(own.horizon), own.kind, f"{own.seed_sd:g}", planted, *shares, f"{one.seeds:.1f}"
        )
    return table


def _shown(rate: Rate) -> str:
    if not rate.number:
        return ""
    low, high = rate.bounds
    return f"{rate.share:.1%} ({low:.1%} .. {high:.1%})"


if __name__ == "__main__":
    start(app)
