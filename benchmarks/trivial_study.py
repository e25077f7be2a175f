"""One stage of the engine on trivial trials, as `trial.sweep` runs it, around a study of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks.trivial import TrivialTrial
from search_spaces import SPACES
from search_spaces.config import TrialConfig
from storage.database import open_storage
from storage.drain import Drain
from storage.lease import Lease
from storage.study import StudyStore
from trial.driver import StageRun, run_stage
from trial.live import Display
from trial.machine import Machine
from trial.plan import Place
from trial.request import Early, SweepRequest
from trial.sampling import make_sampler
from trial.search_plan import SearchPlan
from trial.stopping import StopRequest

CPUS = 2


def run_trivial(
    url: str,
    name: str,
    runs: Path,
    trials: int,
    epochs: int,
    *,
    early: Early | None = None,
    worker: type[TrivialTrial] = TrivialTrial,
    watch: Callable[[StudyStore], None] = lambda study: None,
) -> StudyStore:
    """Draws at random, two trials at a time; `watch` sees the study now and then. Its store stays open."""
    storage = open_storage(url)
    lease, drain = Lease(storage.engine, name), Drain(storage.engine, name)
    study = StudyStore(storage, name, guard=lease.renew)
    base = TrialConfig().replace(**{"train.epochs": epochs})
    sampler = partial(make_sampler, SweepRequest(space="gat_ablation", sampler="random"))
    place = Place(runs, runs / "no-market", Machine(), "code", "provenance", exclusively=lease.in_turn)
    with Display(Console(quiet=True), "search", study, trials, epochs) as display:
        run_stage(
            StageRun(
                study=study,
                plan=SearchPlan(study, SPACES["gat_ablation"], base, place, trials, sampler=sampler),
                lease=lease,
                drain=drain,
                early=early,
                stop=StopRequest(),
                display=display,
                runs=runs,
                room=CPUS,
                worker=worker,
                watch=lambda flights: watch(study),
            )
        )
    lease.release()
    return study
