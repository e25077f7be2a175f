"""What a sweep will cost, from two probe trials that train for some steps in processes of their own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import torch

from data.findings import counted
from data.store import MarketStore
from search_spaces.config import TrialConfig
from trial.build import build
from trial.checkpoint import save_state
from trial.evaluate import predict
from trial.fit import fit
from trial.interrupt import Stopped
from trial.machine import Machine
from trial.memory import peak_memory_mib
from trial.predictions import PREDICTIONS, write_predictions
from trial.request import Prepared
from trial.resources import ClusterError
from trial.sampling import make_sampler
from trial.settings import read_settings
from trial.state import TrainState

STEPS = 6  # of a probe trial; the first one, which warms up, does not count
PROBES = 2


@dataclass(frozen=True)
class Probe:
    """One probe trial."""

    seconds_per_epoch: float  # steps and scoring
    start_seconds: float  # of a worker: imports, market, network
    peak_mib: float
    kept_bytes: int  # checkpoint and predictions


@dataclass(frozen=True)
class Estimate:
    """Of a whole sweep, as if no trial were stopped early."""

    probes: list[Probe]
    epochs: int  # over all trials
    at_once: int
    gpus: float  # per trial
    kept_trials: int

    @property
    def seconds_per_epoch(self) -> float:
        return sum(probe.seconds_per_epoch for probe in self.probes) / len(self.probes)

    @property
    def training_seconds(self) -> float:
        """Of all workers together."""
        return self.seconds_per_epoch * self.epochs

    @property
    def wall_seconds(self) -> float:
        return self.training_seconds / self.at_once + max(probe.start_seconds for probe in self.probes)

    def in_words(self) -> list[str]:
        """One line per topic."""
        each = ", ".join(f"{probe.seconds_per_epoch:.1f}" for probe in self.probes)
        disk = self.kept_trials * max(probe.kept_bytes for probe in self.probes) / 2**20
        lines = [
            f"epoch      {self.seconds_per_epoch:.1f} s (probe trials: {each} s)",
            f"memory     {max(probe.peak_mib for probe in self.probes):.0f} MiB at most per trial, "
            f"{counted(self.at_once, 'trial')} at once",
            f"time       about {_span(self.wall_seconds)} for {counted(self.epochs, 'epoch')}, if ASHA stops nothing",
            f"disk       about {disk:.0f} MiB of checkpoints and predictions",
        ]
        if self.gpus:
            lines.insert(3, f"GPU-hours  about {self.training_seconds * self.gpus / 3600:.2f}")
        return lines


def estimated(prepared: Prepared) -> Estimate:
    """Trains the probes, one after the other.

    Raises:
        ClusterError: a probe failed; says how.
    """
    request, settings = prepared.request, read_settings()
    machine = Machine.of(settings, request.resources.device)
    probes = [_probed(config, prepared.market.folder, machine) for config in _configs(prepared)]
    epochs = prepared.base.train.epochs
    trials = prepared.num_asked
    return Estimate(
        probes, trials * epochs, prepared.num_at_once, request.resources.gpus, min(trials, settings.keep_checkpoints)
    )


def _configs(prepared: Prepared) -> list[TrialConfig]:
    """The first points of the search, as its sampler draws them; the reference where there is only a confirm stage."""
    if "search" not in prepared.request.stages:
        return [prepared.base] * PROBES
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=make_sampler(prepared.request, 0))  # scratch: nothing of it is kept
    for point in prepared.space.first_points[: PROBES - 1]:
        study.enqueue_trial(dict(point))
    return [prepared.space.sample(study.ask(), prepared.base) for _ in range(PROBES)]


def _probed(config: TrialConfig, store: Path, machine: Machine) -> Probe:
    order = {"config": config.model_dump(mode="json"), "store": str(store), "machine": machine.model_dump(mode="json")}
    command = [sys.executable, "-m", "trial.probe"]
    started = time.perf_counter()
    done = subprocess.run(command, input=json.dumps(order), capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it died without a word"])[-1]
        raise ClusterError(f"a probe trial must train, but it failed: {reason}")
    found = json.loads(done.stdout.splitlines()[-1])
    start = time.perf_counter() - started - found.pop("seconds")
    return Probe(start_seconds=max(0.0, start), **found)


def _probe(order: dict[str, Any]) -> dict[str, float]:
    """In its own process: trains some steps, scores once, writes what a trial keeps."""
    machine = Machine.model_validate(order["machine"])
    torch.set_num_threads(machine.threads)
    config = TrialConfig.model_validate(order["config"])
    store = MarketStore.open(Path(order["store"]))
    state, blocks = build(config, store, machine)
    started = time.perf_counter()
    times: list[float] = [started]

    def stop(state: TrainState) -> None:
        times.append(time.perf_counter())
        if state.step >= STEPS:
            raise Stopped("enough")

    with contextlib.suppress(Stopped):
        list(fit(state, blocks, config, machine.recover_oom, stop))
    step = (times[-1] - times[1]) / max(1, len(times) - 2)
    steps = state.progress.num_steps or (state.step // max(1, state.epoch))
    before = time.perf_counter()
    scores = predict(state.model, blocks, blocks.fold.score)
    scoring = time.perf_counter() - before
    with tempfile.TemporaryDirectory() as folder:
        save_state(state, config, Path(folder) / "checkpoint")
        write_predictions(Path(folder) / PREDICTIONS, scores, store)
        kept = sum(path.stat().st_size for path in Path(folder).iterdir())
    return {
        "seconds_per_epoch": step * steps + scoring,
        "peak_mib": peak_memory_mib(state.device),
        "kept_bytes": kept,
        "seconds": time.perf_counter() - started,
    }


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    print(json.dumps(_probe(json.load(sys.stdin))))
