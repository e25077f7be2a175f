"""What a person sees while a stage runs: a live table on a terminal, plain lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from rich import box
from rich.console import Console, Group, JustifyMethod
from rich.live import Live
from rich.table import Table
from rich.text import Text

from storage.study import StudyStore
from trial.order import Flight

REFRESH_SECONDS = 1.0
LISTED_TRIALS = 12
COLUMNS = {"trial": 5, "state": 8, "epoch": 5, "RankIC": 7, "reason": 9}  # heading -> width; "what" takes the rest
COLOURS = {"COMPLETE": "green", "PRUNED": "yellow", "FAIL": "red", "RUNNING": "cyan", "WAITING": "dim"}


class Display:
    """One stage's progress. Use as a context manager around the run; `later` full trials follow in other stages."""

    def __init__(
        self, console: Console, stage: str, study: StudyStore, target: int, epochs: int, later: int = 0
    ) -> None:
        self.console, self.stage, self.target, self.epochs, self.later = console, stage, target, epochs, later
        self._before = frozenset(trial.number for trial in _finished(study))
        self._told, self._started, self._drawn = set(self._before), time.monotonic(), 0.0
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        else:
            self.console.print(f"{self.stage}: {len(self._before)} of {self.target} trials finished, starting")
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def say(self, sentence: str) -> None:
        """Something that the reader should know, above the table."""
        self.console.print(sentence, markup=False, soft_wrap=True)

    def change(self, study: StudyStore, flights: Mapping[str, Flight]) -> None:
        """An outcome was recorded."""
        if self._live:
            self._draw(study, flights)
        elif not self.console.quiet:
            self._tell_finished(study, flights)

    def tick(self, study: StudyStore, flights: Mapping[str, Flight]) -> None:
        """Time has passed."""
        if self._live and time.monotonic() - self._drawn > REFRESH_SECONDS:
            self._draw(study, flights)

    def _tell_finished(self, study: StudyStore, flights: Mapping[str, Flight]) -> None:
        finished = _finished(study)
        for trial in finished:
            if trial.number not in self._told:
                self._told.add(trial.number)
                times = self._times(finished, flights)
                self.console.print(f"{self.stage}: {len(finished)}/{self.target} {_line(trial)}, {times}", markup=False)

    def _draw(self, study: StudyStore, flights: Mapping[str, Flight]) -> None:
        assert self._live is not None
        self._drawn = time.monotonic()
        trials = study.study.get_trials(deepcopy=False)
        finished = [trial for trial in trials if trial.state.is_finished()]
        epochs = {flight.order.number: len(flight.results) for flight in flights.values()}
        table = Table(
            title=f"{study.name}: {len(finished)} of {self.target} trials",
            title_justify="left",
            box=box.SIMPLE_HEAD,
            expand=True,
        )
        for heading, width in COLUMNS.items():
            justify: JustifyMethod = "right" if heading in ("trial", "epoch", "RankIC") else "left"
            table.add_column(heading, justify=justify, width=width, no_wrap=True, overflow="ellipsis")
        table.add_column("what", ratio=1, no_wrap=True, overflow="ellipsis")
        for trial in trials[-max(1, min(LISTED_TRIALS, self.console.height - 7)) :]:
            table.add_row(*self._row(trial, epochs.get(trial.number)))
        best = f"{_best(trials)}   " if self.stage == "search" else ""  # the largest of confirm cells means nothing
        self._live.update(Group(Text(f"{best}{self._times(finished, flights)}"), table), refresh=True)

    def _row(self, trial: FrozenTrial, running_epochs: int | None) -> tuple[str | Text, ...]:
        steps = trial.intermediate_values
        done = running_epochs if running_epochs is not None else len(steps)
        last = f"{steps[max(steps)]:+.4f}" if steps else ""
        state = Text(trial.state.name, style=COLOURS.get(trial.state.name, ""))
        return (
            str(trial.number),
            state,
            f"{done}/{self.epochs}",
            last,
            Text(trial.user_attrs.get("reason", "")),
            Text(in_a_line(trial.params)),
        )

    def _times(self, finished: Sequence[FrozenTrial], flights: Mapping[str, Flight]) -> str:
        elapsed = time.monotonic() - self._started
        text = f"elapsed {_clock(elapsed)}"
        new = [trial for trial in finished if trial.number not in self._before]
        if not new or len(finished) >= self.target:
            return text
        under_way = self._trials(len(flight.own_results) for flight in flights.values())
        left = self.target - len(finished) - self._trials(len(flight.results) for flight in flights.values())
        seconds = elapsed / (len(new) + under_way) * max(0.0, left)
        text += f", about {_clock(seconds)} left of this stage"
        if self.later:
            whole = sum(map(self._share, new)) + under_way  # trials of later stages are not stopped early
            text += f", {_clock(seconds + elapsed / whole * self.later)} of all stages"
        return text

    def _share(self, trial: FrozenTrial) -> float:
        """Of a full trial, that a finished one ran; one without known epochs counts whole."""
        return len(trial.intermediate_values) / self.epochs or 1.0

    def _trials(self, epochs: Iterable[int]) -> float:
        """What those under way have done: on average half an epoch more than they have told."""
        return sum(min(1.0, (told + 0.5) / self.epochs) for told in epochs)


def _finished(study: StudyStore) -> list[FrozenTrial]:
    return [trial for trial in study.study.get_trials(deepcopy=False) if trial.state.is_finished()]


def _best(trials: list[FrozenTrial]) -> str:
    complete = [t for t in trials if t.state == TrialState.COMPLETE and t.values]
    if not complete:
        return "no COMPLETE trial yet"
    best = max(complete, key=lambda t: t.values[0])
    return f"best {best.values[0]:+.4f} (trial {best.number})"


def _line(trial: FrozenTrial) -> str:
    value = f" RankIC {trial.values[0]:+.4f}" if trial.values and trial.state == TrialState.COMPLETE else ""
    reason = trial.user_attrs.get("reason", "")
    why = f" ({reason})" if reason and reason != "complete" else ""
    return f"trial {trial.number} {trial.state.name}{why}{value} [{in_a_line(trial.params)}]"


def in_a_line(params: Mapping[str, Any]) -> str:
    """Parameters: switches by name where on, numbers as name=value."""
    parts = []
    for name, value in params.items():
        if isinstance(value, bool):
            parts.append(name if value else f"no {name}")
        else:
            parts.append(f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}")
    return " ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
