"""What health, the averaged weights and logging take of a training's steps: timed where they happen, in one run."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import seconds
from data.loader import FoldBlocks
from data.prepare import prepare
from data.synthetic import SyntheticConfig, synthetic_panel
from search_spaces.config import TrialConfig
from trial.average import evaluated_weights
from trial.fit import fit
from trial.logs import logging_to
from trial.state import TrainState, new_state

HEALTH = ("begin_phase", "wants_gradients", "hear_loss", "look_at_gradients", "look_at_epoch")


class Stopwatch:
    """Seconds by name, of the functions that it was put around."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def around(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **more: Any) -> Any:
            started = time.perf_counter()
            try:
                return work(*arguments, **more)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

        return timed


def overhead(hidden: int, stocks: int, epochs: int) -> dict[str, float]:
    """ms per step of each, beside the median step, in a training of a synthetic market as `trial.train` runs it."""
    config = TrialConfig().replace(**{"model.hidden": hidden, "train.epochs": epochs})
    with tempfile.TemporaryDirectory() as folder:
        market = SyntheticConfig(num_stocks=stocks, num_days=700, seed=0)
        store = prepare(synthetic_panel(Path(folder), market), Path(folder) / "prepared", config.data)
        blocks = FoldBlocks(store, store.splits(config.data).search, config.data, config.train.block_days)
        state, watch = new_state(config, blocks), Stopwatch()
        _put_around(state, watch)
        times: list[float] = []
        with _timed_logging(watch), logging_to(Path(folder) / "log", "DEBUG", study="overhead", trial=0, seed=0):
            for result in fit(state, blocks, config, after_step=lambda state: times.append(time.perf_counter())):
                logging.getLogger("trial.session").debug("epoch %d: value %+.4f", result.epoch, result.value)
        swap = seconds(lambda: _swap(state))
    return _figures(watch, times, state.step // epochs, epochs * swap)


def _put_around(state: TrainState, watch: Stopwatch) -> None:
    for name in HEALTH:
        setattr(state.health, name, watch.around("health", getattr(state.health, name)))
    state.average.update = watch.around("EMA", state.average.update)  # type: ignore[method-assign]


@contextmanager
def _timed_logging(watch: Stopwatch) -> Iterator[None]:
    handle = logging.Logger.handle
    logging.Logger.handle = watch.around("logging", handle)  # type: ignore[method-assign]
    try:
        yield
    finally:
        logging.Logger.handle = handle  # type: ignore[method-assign]


def _swap(state: TrainState) -> None:
    with evaluated_weights(state.model, state.average):
        pass


def _figures(watch: Stopwatch, times: list[float], steps_per_epoch: int, swapping: float) -> dict[str, float]:
    """Per step; an epoch's look and its swap of weights are shared out among its steps."""
    watch.seconds["EMA"] += swapping
    steps = [b - a for place, (a, b) in enumerate(pairwise(times), 1) if place % steps_per_epoch]
    found = {"step, ms": 1e3 * median(steps), "steps": float(len(times))}
    found |= {f"{name}, ms per step": 1e3 * taken / len(times) for name, taken in watch.seconds.items()}
    return found | {"share of a step": sum(watch.seconds.values()) / len(times) / median(steps)}
