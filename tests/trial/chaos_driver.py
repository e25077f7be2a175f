"""A driver that the chaos test kills: a sweep of trivial trials on a store of its own choice, resumed at every start.

`python -m tests.trial.chaos_driver RUNS PANEL STORE ADDRESS TRIALS EPOCHS [--join]`
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.trivial import trivial_epochs
from trial.evaluate import EpochResult
from trial.keeper import CHECKPOINT
from trial.request import SweepRequest
from trial.run import run_sweep
from trial.worker import SweepTrial

EPOCH_SECONDS = float(os.environ.get("CHAOS_EPOCH_SECONDS", "0.15"))


class MarkedTrial(SweepTrial):
    """Deterministic epochs; what it has done lies in a file, from which another attempt goes on, and its process id
    beside it, for whoever kills workers."""

    def attempt(self) -> Iterator[EpochResult]:
        order = self.order
        order.folder.mkdir(parents=True, exist_ok=True)
        (order.folder / "pid").write_text(str(os.getpid()))
        done = int(order.resume_from.read_text()) if order.resume_from is not None else 0
        (order.folder / "began").write_text(str(done))

        def keep(epoch: int) -> None:
            scratch = order.folder / "scratch"
            scratch.write_text(str(epoch))
            os.replace(scratch, order.folder / CHECKPOINT)

        yield from trivial_epochs(order, EPOCH_SECONDS, done, keep)


def main(runs: str, panel: str, store: str, address: str, trials: str, epochs: str, join: str = "") -> None:
    request = SweepRequest(
        space="gat_ablation",
        panel=Path(panel),
        runs=Path(runs),
        storage=store or None,
        stages=("search",),
        trials=int(trials),
        epochs=int(epochs),
        sampler="random",
        scheduler="none",
        address=address,
        join=bool(join),
    )
    outcome = run_sweep(request, worker=MarkedTrial)
    print(outcome.counts, outcome.stopped)


if __name__ == "__main__":
    main(*sys.argv[1:])
