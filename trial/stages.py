"""The stages of a sweep, search, tune and confirm: their studies opened, defined and adopted; their plans."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from rich.console import Console

from data.findings import counted
from data.store import MarketStore
from reports.judged import FAMILY
from reports.next_step import COMMAND
from search_spaces.config import TrialConfig
from search_spaces.knob import Range
from search_spaces.space import REFERENCE
from storage.lease import Lease
from storage.names import CONFIRM, TUNE, studies_of
from storage.record import ARM_HASHES, TrialRecord, best_complete, read_records, study_names
from storage.study import DRIVER, StudyStore
from trial.adoption import Adoption
from trial.budget import Budget
from trial.cell_plan import MAX_SEEDS, Cell, CellPlan
from trial.cluster import most_memory_mib
from trial.definitions import arms_to_confirm, definition_of, names_of, refuse_other_definitions, tuning_of
from trial.facts import kept_provenance, market_number, tell_facts, whole_provenance
from trial.machine import Machine
from trial.packing import Packing, gpu_memory_mib
from trial.pilot import pilot
from trial.plan import Place, Plan
from trial.reference_rows import forget_references_of_others
from trial.request import Early, Prepared, SweepRequest
from trial.sampling import make_sampler
from trial.search_plan import SearchPlan
from trial.settings import read_settings
from trial.stopping import StopRequest
from trial.tuning import (
    MAX_DRAWS,
    TUNE_SEEDS,
    WINNER,
    Tuned,
    best_draws,
    needs_more_seeds,
    with_winner,
)
from trial.warm_start import first_points


@dataclass(frozen=True)
class Stage:
    """One study of a sweep, ready to run."""

    title: str
    study: StudyStore
    plan: Plan
    early: Early | None
    budget: Budget
    later: int = 0  # full trials of the stages after it, as far as they are known


def open_stages(
    storage: RDBStorage, name: str, prepared: Prepared, lease: Lease, stop: StopRequest, console: Console
) -> Iterator[Stage]:
    """Those that the request asks for, each once the one before has run.

    What dead drivers left is taken up in all of them at once, and what changed of any is refused before the first runs.

    Raises:
        StorageError: a study's definition changed.
    """
    opening = Opening(storage, name, prepared, lease, stop, console)
    opening.check()
    if "search" in prepared.request.stages:
        yield opening.search()
    if "confirm" in prepared.request.stages:
        if prepared.tuned:
            tuning = opening.tune()
            yield tuning
            if tuning.study.num_finished < tuning.plan.target:  # or what is confirmed would change with what is left
                console.print("confirm: not begun, because the tuning has not finished")
                return
        if stop.reason is None and (stage := opening.confirm()) is not None:
            yield stage


@dataclass(frozen=True)
class Opening:
    """Opens the studies of one sweep."""

    storage: RDBStorage
    name: str
    prepared: Prepared
    lease: Lease
    stop: StopRequest
    console: Console

    def check(self) -> None:
        """Before anything runs: definitions are the same, and no trial of a dead driver stays RUNNING."""
        refuse_other_definitions(self.storage, self.name, self.prepared)
        known = study_names(self.storage)
        for study in studies_of(self.name):
            if study in known:
                self._take_up(StudyStore(self.storage, study, guard=self.lease.renew))
        if "search" not in self.prepared.request.stages:
            self._say_half_a_search(known)

    def _say_half_a_search(self, known: set[str]) -> None:
        """A winner is confirmed however far the search has come, but not without a word."""
        wanted = self.prepared.num_trials
        search = StudyStore(self.storage, self.name) if self.name in known else None
        finished = max(0, search.num_finished - search.values_from) if search is not None else 0
        if not finished:
            self.console.print("confirm: there was no search, so arms are compared and no winner is confirmed")
        elif finished < wanted:
            self.console.print(
                f"confirm: the search has {finished} of {wanted} trials behind it; what is confirmed as its winner is "
                f"the best of these. --stage both goes on with it first"
            )

    def search(self) -> Stage:
        prepared, request = self.prepared, self.prepared.request
        known = self.storage, prepared.space, prepared.base
        points = first_points(*known, request.warm_start)  # before there is a study, which a warm start may not be
        study = self._opened(self.name, [objective.direction for objective in prepared.goal.objectives], {})
        budget = self._budget(study, request.patience)
        plan = SearchPlan(
            study,
            prepared.space,
            prepared.base,
            self._place(budget),
            prepared.num_trials,
            first_points=points,
            sampler=partial(make_sampler, request),
            batch=(request.concurrent or 1) if request.deterministic else None,
        )
        later = prepared.num_tunings + prepared.num_cells if "confirm" in request.stages else 0
        return Stage("search", study, plan, prepared.early, budget, later)

    def tune(self) -> Stage:
        """Reference and retuned arms at every point, on the search fold, at full budget."""
        tuned = self.prepared.tuned
        facts = {"points": self.prepared.points, "reference_arm": REFERENCE}
        study = self._opened(f"{self.name}{TUNE}", ["maximize"], facts)
        budget = self._budget(study)
        ranges: dict[str, Range] = {
            "arm": CategoricalDistribution(list(tuned)),
            "draw": IntDistribution(0, MAX_DRAWS - 1),
            "seed": CategoricalDistribution(list(range(MAX_SEEDS))),
        }
        cells = [{"arm": arm, "draw": draw} for draw in range(len(self.prepared.points)) for arm in tuned]

        def configure(cell: Cell) -> TrialConfig:
            return tuned[cell["arm"]][cell["draw"]].replace(seed=cell["seed"])

        plan = CellPlan(study, ranges, cells, configure, self._place(budget), TUNE_SEEDS)
        return Stage("tune", study, plan, None, budget, self.prepared.num_cells)

    def confirm(self) -> Stage | None:
        """None, and said why, where the tuning has not found what is to be confirmed."""
        tuning = tuning_of(self.storage, self.name)
        best = best_draws(tuning, self.prepared.tuned)
        arms = arms_to_confirm(self.prepared, best)
        if arms is None:
            self.console.print("confirm: not begun, because no draw of the reference is COMPLETE with all its seeds")
            return None
        arms, winner = with_winner(arms, self._best_of_search())
        design = None if self.prepared.space.design is None else self.prepared.space.design.plain()
        facts = {
            "reference_arm": REFERENCE,
            "winner": winner,
            "arm_kinds": {name: arm.kind for name, arm in arms.items()},
            "arm_summaries": {name: arm.summary for name, arm in arms.items()},
            ARM_HASHES: {name: arm.config.hash for name, arm in arms.items()},
            FAMILY: [name for name in self.prepared.tuned if name != REFERENCE],
            "draws": {name: tuned.draw for name, tuned in best.items()},
            "equivalence": self.prepared.space.equivalence,
            "exploratory": not self.prepared.splits.are_separate,
            "pilot": self._pilot(tuning, best),
            "design": design,
        }
        study = self._opened(f"{self.name}{CONFIRM}", ["maximize"], facts)
        budget = self._budget(study)
        folds = [fold.name for fold in self.prepared.splits.confirm]
        ranges: dict[str, Range] = {
            "arm": CategoricalDistribution(sorted({*arms, WINNER})),
            "seed": CategoricalDistribution(list(range(MAX_SEEDS))),
            "fold": CategoricalDistribution(folds),
        }
        cells = [{"arm": arm, "fold": fold} for fold, arm in itertools.product(folds, arms)]

        def configure(cell: Cell) -> TrialConfig:
            return arms[cell["arm"]].config.replace(seed=cell["seed"], fold=cell["fold"])

        needs_seed = partial(needs_more_seeds, study, arms, design) if self.prepared.may_add_seeds else None
        place = self._place(budget)
        plan = CellPlan(study, ranges, cells, configure, place, self.prepared.num_seeds, needs_seed)
        return Stage("confirm", study, plan, None, budget)

    def _pilot(self, tuning: Sequence[TrialRecord], best: Mapping[str, Tuned]) -> dict[str, Any] | None:
        """What this stage will be able to find; told before it begins, and kept."""
        days = sum(len(fold.score) for fold in self.prepared.splits.confirm)
        found = pilot(tuning, best, self.prepared.base.data.horizons, self.prepared.num_seeds, days)
        if found is not None:
            self.console.print(f"confirm: {found.in_words}")
        return None if found is None else found.plain()

    def _best_of_search(self) -> TrialRecord | None:
        known = study_names(self.storage)
        return best_complete(read_records(self.storage, self.name)) if self.name in known else None

    def _budget(self, study: StudyStore, patience: int | None = None) -> Budget:
        request = self.prepared.request
        return Budget(study, studies_of(self.name), self.stop, request.gpu_hours, patience, request.drain_seconds)

    def _place(self, budget: Budget) -> Place:
        prepared = self.prepared
        place = place_of(self.storage, prepared.request, prepared.market, self.lease, budget)
        return replace(place, goal=prepared.goal, market=market_number(self.storage, prepared.market))

    def _opened(self, name: str, directions: Sequence[str], facts: Mapping[str, Any]) -> StudyStore:
        """Opens a study, takes up what dead drivers left, checks its definition."""
        found = [StudyDirection[direction.upper()] for direction in directions]
        study = StudyStore(self.storage, name, guard=self.lease.renew, directions=found)
        self._take_up(study)  # before the definition may change, so that what is adopted is given up with the rest
        epochs, accept = self.prepared.base.train.epochs, self.prepared.request.accept_changes
        definition = definition_of(self.storage, name, self.prepared)
        assert definition is not None, "its arms are known"
        names = names_of(study.study.user_attrs, self.prepared)
        for change in study.define(definition, epochs, accept, names):
            self.console.print(f"{name}: accepted {change}", markup=False, soft_wrap=True)
        if begun := [str(trial.number) for trial in study.waiting() if DRIVER in trial.user_attrs]:
            told = f"{counted(len(begun), 'interrupted trial')} to go on with: {', '.join(begun)}"
            self.console.print(f"{name}: {told}")
        _tell(study, self.prepared, facts)
        return study

    def _take_up(self, study: StudyStore) -> None:
        take_up(study, self.lease, self.prepared.request.runs, self.console)


def take_up(study: StudyStore, lease: Lease, runs: Path, console: Console) -> None:
    """What dead drivers left of a study: writes that waited for the store, and trials."""
    adoption = Adoption(study, lease, runs.resolve() / study.name)
    if replayed := adoption.replay():
        console.print(f"{study.name}: {replayed} writes that waited for the store were replayed")
    adoption.adopt()


def place_of(storage: RDBStorage, request: SweepRequest, market: MarketStore, lease: Lease, budget: Budget) -> Place:
    """Where the trials of a stage on `market` run; no ledger knows them yet."""
    return Place(
        runs=request.runs.resolve(),
        store=market.folder.resolve(),
        machine=Machine.of(read_settings(), request.resources.device),
        code=whole_provenance()["code"],
        provenance=kept_provenance(storage),
        driver=lease.owner,
        gpus=request.resources.gpus,
        resources=Packing(request.resources, market, gpu_memory_mib(), most_memory_mib()).place,
        closed=lambda: budget.is_used_up,
        exclusively=lease.in_turn,
    )


def _tell(study: StudyStore, prepared: Prepared, facts: Mapping[str, Any]) -> None:
    """Facts for reports and readers."""
    tell_facts(study, prepared.panel, prepared.market, prepared.splits, prepared.base)
    forget_references_of_others(study, prepared.base, prepared.market)
    names = [objective.name for objective in prepared.goal.objectives]
    own = {
        "summary": prepared.space.summary,
        "objectives": names,
        "constraints_asked": [str(constraint) for constraint in prepared.goal.constraints],
        "sampler": prepared.request.sampler,
        **({COMMAND: list(prepared.request.command)} if prepared.request.command else {}),
        "rungs": prepared.early.rungs if prepared.early else [],
        **facts,
    }
    for key, value in own.items():
        study.study.set_user_attr(key, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # since its version 3.2
        study.study.set_metric_names(names[: len(study.study.directions)])
