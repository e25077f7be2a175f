"""What is shipped is run, in a process of its own: the benchmarks of a step, on a small network, and of starts."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.long
def test_the_steps_benchmark_runs_and_writes_what_it_prints(tmp_path: Path) -> None:
    figures = tmp_path / "step.json"
    command = [sys.executable, "-m", "benchmarks.step", "--quick", "--threads", "1", "--json", str(figures)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = json.loads(figures.read_text())
    titles = {"step, ms per day", "FAN, ms per block", "matrix products, hidden 16", "matrix products, hidden 64"}
    titles |= {"watching a training"}
    assert titles <= written.keys()
    assert all(title in done.stdout for title in titles)
    assert all(math.isfinite(value) and value >= 0 for each in written.values() for value in each.values())
    assert written["FAN, ms per block"]["largest difference"] < 1e-5, "the rivals compute the same"
    assert "there is no GPU here" in done.stdout or any(title.startswith("on cuda") for title in written)


@pytest.mark.long
def test_the_starts_benchmark_runs_and_writes_what_it_prints(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.start", "--rounds", "1", "--json", str(tmp_path / "figures.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert "trial.sweep --help" in figures
    assert all(f"{seconds:.2f}" in done.stdout for seconds in figures.values())
