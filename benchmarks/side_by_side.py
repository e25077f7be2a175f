"""One study by stock `OptunaSearch` + ASHA and one by ours, as the database holds them afterwards.

`python -m benchmarks.side_by_side`: trivial trials; the third diverges, the fifth raises, ASHA stops the weak.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import typer
from optuna.trial import FrozenTrial, TrialState
from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray.tune.search.optuna import OptunaSearch
from rich.console import Console
from rich.table import Table

from benchmarks.trivial import TrivialTrial, trivial_epochs, trivial_value
from benchmarks.trivial_study import run_trivial
from trial.cluster import cluster
from trial.endings import diverged
from trial.evaluate import EpochResult
from trial.request import Early
from trial.resources import Resources
from trial.settings import read_settings

TRIALS, EPOCHS, GRACE, SECONDS = 12, 8, 3, 0.05
DIVERGING, RAISING = 2, 4  # numbers
SAMPLER = optuna.samplers.RandomSampler(0)


class FaultyTrial(TrivialTrial):
    """The third diverges in its second epoch, the fifth raises in its second."""

    def attempt(self) -> Iterator[EpochResult]:
        for result in trivial_epochs(self.order, SECONDS):
            if result.epoch == 2 and self.order.number == DIVERGING:
                raise diverged("the loss is not finite")
            if result.epoch == 2 and self.order.number == RAISING:
                raise RuntimeError("the block gave up")
            yield result


def ours(url: str, runs: Path) -> str:
    """A stage of `trial.sweep` with ASHA."""
    run_trivial(url, "ours", runs, TRIALS, EPOCHS, early=Early(EPOCHS, GRACE, 2), worker=FaultyTrial)
    return "ours"


def _stock_trial(config: dict[str, Any]) -> None:
    for epoch in range(1, EPOCHS + 1):
        time.sleep(SECONDS)
        number = config["number"]
        if epoch == 2 and number == RAISING:
            raise RuntimeError("the block gave up")
        is_diverged = epoch >= 2 and number == DIVERGING
        tune.report({"epoch": epoch, "value": math.nan if is_diverged else trivial_value(str(config["rate"]), epoch)})


def _define(trial: optuna.Trial) -> dict[str, Any]:
    trial.suggest_float("rate", 0, 1)
    return {"number": trial.number}


def stock(url: str, runs: Path) -> str:
    """As Ray's documentation has it."""
    storage = optuna.storages.RDBStorage(url)
    search = OptunaSearch(
        _define,
        metric="value",
        mode="max",
        sampler=optuna.samplers.RandomSampler(0),
        storage=storage,
        study_name="stock",
    )
    scheduler = AsyncHyperBandScheduler(
        time_attr="epoch", metric="value", mode="max", max_t=EPOCHS, grace_period=GRACE, reduction_factor=2
    )
    tune.Tuner(
        _stock_trial,
        tune_config=tune.TuneConfig(search_alg=search, scheduler=scheduler, num_samples=TRIALS, reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(runs / "stock"), verbose=0),
    ).fit()
    return "stock"


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main() -> None:
    """Run both and print what the database holds of each."""
    console = Console(width=150)
    with tempfile.TemporaryDirectory() as folder, cluster(None, Resources(), read_settings()):
        runs = Path(folder)
        for run in (stock, ours):
            url = f"sqlite:///{runs}/{run.__name__}.db"
            name = run(url, runs)
            trials = optuna.load_study(study_name=name, storage=url).get_trials(deepcopy=False)
            _print(name, trials, console)


def _print(name: str, trials: list[FrozenTrial], console: Console) -> None:
    states = Counter(trial.state.name for trial in trials)
    told = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
    table = Table(title=f"{name}: {told}", title_justify="left", box=None)
    for heading in ("trial", "state", "value", "steps", "last step", "curve", "reason"):
        table.add_column(heading)
    for trial in trials:
        steps = trial.intermediate_values
        value = f"{trial.values[0]:.4f}" if trial.values and trial.state is not TrialState.FAIL else ""
        curve = " ".join(f"{steps[step]:.3f}" for step in sorted(steps))
        row = (trial.number, trial.state.name, value, len(steps), max(steps, default=""), curve)
        table.add_row(*map(str, row), str(trial.user_attrs.get("reason", "")))
    console.print(table)


if __name__ == "__main__":
    app()
