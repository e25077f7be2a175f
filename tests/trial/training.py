"""A small single training for the tests, and its commands: in this process, or as a user starts them."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import yaml
from typer.testing import CliRunner

import trial.daily
import trial.ensemble
import trial.export
import trial.monitor
import trial.predict
import trial.references
import trial.registry
import trial.reproduce
import trial.retrain
import trial.train
import trial.verify

SWEEP = "graph"  # of the finished sweep that tests share
ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "data": {"graph": {"kind": "correlation", "k": 4}},
    "model": {"hidden": 8, "graph": {"kind": "gatv2", "heads": 2}},
    "train": {"epochs": 2, "days_per_epoch": 64},
}
BASE = ["selection", "projection", "temporal", "head"]
PHASED = {
    "train": {
        "epochs": 3,
        "days_per_epoch": 32,
        "phases": [
            {"name": "base", "epochs": 2, "learning_rate": 1e-3, "learns": BASE},
            {"name": "rest", "epochs": 1, "learning_rate": 1e-4},
        ],
    }
}
APPS = {
    "trial.train": trial.train.app,
    "trial.reproduce": trial.reproduce.app,
    "trial.references": trial.references.app,
    "trial.daily": trial.daily.app,
    "trial.ensemble": trial.ensemble.app,
    "trial.monitor": trial.monitor.app,
    "trial.registry": trial.registry.app,
    "trial.retrain": trial.retrain.app,
    "trial.export": trial.export.app,
    "trial.predict": trial.predict.app,
    "trial.verify": trial.verify.app,
}


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def run(module: str, *arguments: object, env: dict[str, str] | None = None) -> Done:
    """The command in this process, which spares a start of seven seconds; an error of our own is raised."""
    done = CliRunner().invoke(APPS[module], [*map(str, arguments)], env=env)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Done(done.exit_code, done.stdout, done.stderr)


def run_apart(module: str, *arguments: object, largest_file: int | None = None) -> Done:
    """The command as a user starts it, in a process of its own, whose disk may take no file beyond so many bytes."""

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False, preexec_fn=limit
    )
    return Done(done.returncode, done.stdout, done.stderr)


def phased_file(folder: Path) -> Path:
    path = folder / "phased.yaml"
    path.write_text(yaml.safe_dump(SMALL | PHASED))
    return path


class Trained:
    """One finished training that several tests look at."""

    def __init__(self, folder: Path, panel: Path) -> None:
        self.runs, self.panel, self.config = folder / "runs", panel, folder / "small.yaml"
        self.config.write_text(yaml.safe_dump(SMALL))
        groups = ("--by", "sector,liquidity")
        self.done = run_apart("trial.train", self.config, "--data", panel, "--runs", self.runs, *groups)
