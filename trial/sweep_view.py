"""What `trial.sweep` shows: the spaces, the plan, the outcome."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from data.describe import describe
from data.findings import counted
from reports.inference.effect import MIN_SEEDS
from search_spaces import SPACES
from storage.database import shown_url
from trial.probe import estimated
from trial.request import Prepared
from trial.run import SweepOutcome
from trial.tuning import TUNE_SEEDS


def print_spaces(console: Console) -> None:
    """Name, budget and summary of each."""
    table = Table(box=None)
    for heading in ("space", "trials", "epochs", "arms", "draws", "seeds", "what"):
        table.add_column(heading)
    for space in SPACES.values():
        budget = space.budget
        table.add_row(
            space.name,
            str(budget.trials),
            str(budget.epochs),
            str(len(space.arms)),
            str(budget.draws),
            str(budget.seeds),
            space.summary,
        )
    console.print(table)


def print_plan(prepared: Prepared, console: Console) -> None:
    """What the sweep would do, by date and number."""
    market, dates = prepared.market.meta, prepared.market.meta.dates
    console.print(
        f"market     {prepared.panel}: {counted(len(market.codes), 'stock')}, {counted(len(dates), 'day')} "
        f"{dates[0]} .. {dates[-1]}"
    )
    for topic, sentence in describe(prepared.market, prepared.base.data).items():
        console.print(f"{topic:10} {sentence}")
    table = Table(box=None)
    for heading in ("fold", "train", "days", "scored", "days "):
        table.add_column(heading, justify="right" if heading.startswith("days") else "left")
    for fold in prepared.splits.folds:
        table.add_row(
            fold.name,
            f"{dates[fold.train[0]]} .. {dates[fold.train[-1]]}",
            str(len(fold.train)),
            f"{dates[fold.score[0]]} .. {dates[fold.score[-1]]}",
            str(len(fold.score)),
        )
    console.print(table)
    epochs, early = prepared.base.train.epochs, prepared.early
    stages = prepared.request.stages
    if "search" in stages:
        cuts = ", ".join(map(str, early.rungs)) if early else ""
        rungs = f"ASHA cuts after epochs {cuts}" if cuts else "no early stopping"
        size = f"{counted(prepared.num_trials, 'trial')} x {counted(epochs, 'epoch')}"
        console.print(f"search     {size}, {prepared.request.sampler}, {rungs}")
    if "confirm" in stages and prepared.tuned:
        console.print(
            f"tune       {counted(prepared.num_tunings, 'trial')}: {counted(len(prepared.tuned), 'arm')} "
            f"({', '.join(prepared.tuned)}) x {counted(len(prepared.points), 'draw')} x {counted(TUNE_SEEDS, 'seed')}"
        )
    if "confirm" in stages:
        arms = f"{counted(len(prepared.arms), 'arm')} ({', '.join(prepared.arms)})"
        console.print(
            f"confirm    {counted(prepared.num_cells, 'trial')}: {arms} "
            f"x {counted(prepared.num_seeds, 'seed')} x {counted(len(prepared.splits.confirm), 'fold')}"
            + (", retuned arms at the reference's hyper-parameters too" if len(prepared.tuned) > 1 else "")
            + (", and the winner of the search" if "search" in stages else "")
        )
        console.print(f"verdict    {_verdict_ahead(prepared)}")


def _verdict_ahead(prepared: Prepared) -> str:
    """What these settings can say at all."""
    if len(prepared.tuned) < 2:
        return "none: no arm has a tuning of its own, all is exploratory"
    if not prepared.splits.are_separate:
        return f"none: {prepared.splits.doubts[0]}"
    if prepared.num_seeds < MIN_SEEDS:
        return f"none: {counted(prepared.num_seeds, 'seed')}, and {MIN_SEEDS} are needed; --seeds {MIN_SEEDS} gives one"
    return (
        f"at {MIN_SEEDS} seeds or more; how small a difference can be found is told after the tuning, from its variance"
    )


def print_probes(prepared: Prepared, console: Console) -> None:
    """Two probe trials' cost, and what the whole sweep would take."""
    with console.status("training two probe trials"):
        estimate = estimated(prepared)
    for line in estimate.in_words():
        console.print(line, soft_wrap=True, markup=False)
    console.print("dry run: no study was written. Leave out --dry-run to start.")


def print_outcome(outcome: SweepOutcome, console: Console) -> None:
    """What was found, what it took, where it lies, what to do next."""
    for study, counts in outcome.counts.items():
        finished = {state: counts[state] for state in ("COMPLETE", "PRUNED", "FAIL")}
        waiting = f", {counts['WAITING']} waiting" if counts["WAITING"] else ""
        waiting += f", {counts['RUNNING']} still running under another driver" if counts["RUNNING"] else ""
        text = ", ".join(f"{n} {state}" for state, n in finished.items())
        console.print(f"{study}: {sum(finished.values())} finished: {text}{waiting}")
    if outcome.best is not None:
        metrics = outcome.best.curve[-1]["metrics"]
        by_horizon = ", ".join(
            f"{key.rsplit('/', 1)[1]}d {value:+.4f}" for key, value in metrics.items() if "/rank_ic/" in key
        )
        console.print(
            f"best       trial {outcome.best.number}, of the search: RankIC {outcome.best.value:+.4f}, weighted over "
            f"horizons ({by_horizon})"
        )
    elif outcome.study in outcome.counts:
        console.print(f"best       {_why_no_best(outcome)}, so there is no best configuration")
    if outcome.rungs:
        told = "; ".join(rung.in_words for rung in outcome.rungs)
        console.print(f"rungs      rank correlation with the final value: {told}", soft_wrap=True)
    if outcome.costs:
        console.print(f"cost       {_cost(outcome)}")
    console.print(f"store      {shown_url(outcome.storage_url)}")
    console.print(f"report     {outcome.report}")
    if outcome.config_path:
        console.print(f"config     {outcome.config_path}")
    where = f"--runs {shlex.quote(str(outcome.report.parent.parent))}"
    if outcome.storage_option is not None:
        where += f" --storage {shlex.quote(outcome.storage_option)}"
    look = f"{_program('python')} -m trial.dashboard {outcome.study} {where}"
    console.print(f"look       {look}", soft_wrap=True)  # a command stays on one line, to be copied
    for label, text in outcome.conclusion:
        console.print(f"{label:<10} {text}", soft_wrap=True)
    if outcome.stopped:
        console.print(f"stopped    {outcome.stopped}; nothing is lost. To go on:")
        console.print(f"           {_program('python')} -m trial.sweep {shlex.join(sys.argv[1:])}", soft_wrap=True)


def _why_no_best(outcome: SweepOutcome) -> str:
    """None is COMPLETE, or none of them keeps to the constraints; then, how near the nearest came."""
    number = outcome.counts[outcome.study]["COMPLETE"]
    if not number:
        return "no search trial is COMPLETE"
    least = ", ".join(f"{name} by {excess:.3g}" for name, excess in outcome.least_violations.items())
    return f"none of the {counted(number, 'COMPLETE trial')} keeps to its constraints (least broken: {least})"


def _cost(outcome: SweepOutcome) -> str:
    attempts = sum(cost.attempts for cost in outcome.costs.values())
    training = sum(cost.train_seconds for cost in outcome.costs.values())
    gpus = sum(cost.gpu_seconds for cost in outcome.costs.values())
    text = f"{counted(attempts, 'attempt')}, {training / 3600:.2f} h of training"
    return text + (f", {gpus / 3600:.2f} GPU-hours" if gpus else "")


def _program(name: str) -> str:
    """The bare name where the shell finds this environment's program, its path otherwise."""
    own = Path(sys.executable).parent / name
    found = shutil.which(name)
    if found is not None and Path(found).parent.resolve() == own.parent.resolve():
        return name
    return shlex.quote(os.path.relpath(own)) if own.is_relative_to(Path.cwd()) else shlex.quote(str(own))
