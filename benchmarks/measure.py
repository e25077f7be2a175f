"""Medians of times, private memory, and work in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent


def seconds(work: Callable[[], object], repeat: int = 5) -> float:
    """Median wall time."""
    return median(_timed(work) for _ in range(repeat))


def alternating(*works: Callable[[], object], repeat: int = 5) -> list[float]:
    """Median wall time of each, run in turn so that a busy machine disturbs all alike."""
    rounds = [[_timed(work) for work in works] for _ in range(repeat)]
    return [median(times) for times in zip(*rounds, strict=True)]


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def private_mib() -> float:
    """Anonymous memory of this process: what no other process shares."""
    return _status("RssAnon") / 1024


def resident_mib() -> float:
    """With the mapped files' pages that happen to be in memory."""
    return _status("VmRSS") / 1024


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {key}: this benchmark needs Linux")


class Peak:
    """The largest private and resident memory while a block runs, above what was there before, in MiB."""

    def __enter__(self) -> Peak:
        self.private, self.resident = 0.0, 0.0
        self._before, self._before_resident, self._over = private_mib(), resident_mib(), threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        return self

    def _look(self) -> None:
        while not self._over.wait(0.005):
            self.private = max(self.private, private_mib() - self._before)
            self.resident = max(self.resident, resident_mib() - self._before_resident)

    def __exit__(self, *_: object) -> None:
        self.private = max(self.private, private_mib() - self._before)
        self._over.set()
        self._watch.join()


def in_fresh_process(module: str, task: str, **arguments: object) -> dict[str, float]:
    """Runs `python -m module task JSON` and reads the JSON object that it prints last."""
    command = [sys.executable, "-m", module, task, json.dumps(arguments, default=str)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])
