"""CellPlan: every cell of a design is one trial at full budget; seeds outermost, so that early results are pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from search_spaces.config import TrialConfig
from search_spaces.knob import Range, suggest
from storage.draft import draft
from storage.study import StudyStore
from trial.order import Flight
from trial.plan import Place, first_open, start_flight

MAX_SEEDS = 20  # a categorical parameter keeps its choices for ever
Cell = Mapping[str, Any]  # parameter -> value, the seed among them
Key = tuple[Any, ...]  # a cell's values, and the hash of its configuration


class CellPlan:
    """Walks the cells of seed 0, then those of seed 1, ..; a cell is done once a trial of its configuration ended.

    Args:
        study: to ask.
        ranges: of the cells' parameters, as wide as they may ever be.
        cells: of one seed, without the seed.
        configure: a cell's configuration.
        place: where trials run.
        seeds: that are walked in any case.
        needs_seed: asked when all are done: whether another seed is to be walked, as `MAX_SEEDS` allows; None: none is.
    """

    def __init__(
        self,
        study: StudyStore,
        ranges: Mapping[str, Range],
        cells: Sequence[Cell],
        configure: Callable[[Cell], TrialConfig],
        place: Place,
        seeds: int,
        needs_seed: Callable[[], bool] | None = None,
    ) -> None:
        self.study, self.place = study, place
        self._ranges, self._own, self._configure, self._needs_seed = ranges, cells, configure, needs_seed
        self._cells: dict[Key, Cell] = {}
        self._seeds = 0
        study.give_up_waiting(self._is_of_no_cell, "it was to compare what is not compared any more")
        trials = study.study.get_trials(deepcopy=False)
        begun = 1 + max((int(self._cell(trial)["seed"]) for trial in trials), default=-1)
        for _ in range(seeds if needs_seed is None else max(seeds, begun)):
            self._add_seed()
        self._others = sum(trial.state.is_finished() and self._is_other(trial) for trial in trials)
        if all(trial.state.is_finished() for trial in trials) and not self._free(trials):
            self._grow()

    @property
    def target(self) -> int:
        """Finished trials once all is walked: those of earlier definitions of the study stay."""
        return len(self._cells) + self._others

    def next_flight(self) -> Flight | None:
        return first_open(self.study, self._next_cell)

    def _next_cell(self) -> Flight | None:
        if self.place.closed():
            return None
        with self.place.exclusively():
            trials = self.study.study.get_trials(deepcopy=False)
            free = self._free(trials)
            if not free and all(trial.state.is_finished() for trial in trials) and self._grow():
                free = self._free(trials)
            if not free and all(trial.state is not TrialState.WAITING for trial in trials):
                return None
            trial = draft(self.study.ask(free[0] if free else None))
            for name, values in self._ranges.items():
                suggest(trial, name, values)
            return start_flight(self.study, trial, self._configure(trial.params), self.place)

    def _grow(self) -> bool:
        if self._needs_seed is None or self._seeds >= MAX_SEEDS or not self._needs_seed():
            return False
        self._add_seed()
        return True

    def _add_seed(self) -> None:
        for own in self._own:
            cell = {**own, "seed": self._seeds}
            self._cells[*(cell[name] for name in self._ranges), self._configure(cell).hash] = cell
        self._seeds += 1

    def _free(self, trials: Sequence[FrozenTrial]) -> list[Cell]:
        taken = {self._key(trial) for trial in trials if trial.number >= self.study.values_from}
        return [cell for key, cell in self._cells.items() if key not in taken]

    def _is_other(self, trial: FrozenTrial) -> bool:
        """Of an earlier definition of the study: other data, or another configuration."""
        return trial.number < self.study.values_from or self._key(trial) not in self._cells

    def _key(self, trial: FrozenTrial) -> Key:
        """Also of one that was enqueued and never started, which will have its cell's configuration."""
        cell = self._cell(trial)
        known = trial.user_attrs.get("config_hash")
        if known is None and not trial.state.is_finished() and not self._is_of_no_cell(trial):
            known = self._configure(cell).hash
        return *(cell[name] for name in self._ranges), known

    def _is_of_no_cell(self, trial: FrozenTrial) -> bool:
        """Enqueued for an arm that is gone since, before it had a configuration."""
        own = {name: value for name, value in self._cell(trial).items() if name != "seed"}
        return "config_hash" not in trial.user_attrs and own not in self._own

    def _cell(self, trial: FrozenTrial) -> Cell:
        fixed = trial.system_attrs.get("fixed_params", {})
        return {name: trial.params.get(name, fixed.get(name)) for name in self._ranges}

    @property
    def asked(self) -> Sequence[Flight]:
        return ()

    def give_back(self) -> list[Flight]:
        return []

    def note_failure(self, flight: Flight) -> None:
        """Cells are all different: none is tried twice."""
