"""What a person sees of a training: a bar on a terminal, a line per epoch where piped, a summary at the end."""

from __future__ import annotations

import shlex
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from data.findings import counted
from data.graph import EDGE_ATTRIBUTES
from data.loader import epoch_layout
from data.outline import Outline
from model.atft import ATFT
from model.protocols import Sizes
from search_spaces.config import TrialConfig
from storage.database import shown_url
from trial.evaluate import EpochResult
from trial.keeper import CHECKPOINT
from trial.phase import spans
from trial.profiling import TRACE
from trial.scorecard import Card
from trial.state import TrainState
from trial.tracking import EVENT_FILES, WANDB_FILES

if TYPE_CHECKING:
    from trial.single import TrainOutcome
    from trial.train_request import PreparedTraining

SHOWN = (
    ("rank_ic", "RankIC"),
    ("rank_icir", "IR per day"),
    ("neutral_rank_ic", "neutral"),
    ("ic", "IC"),
    ("top_minus_bottom", "top - bottom"),
    ("hit_rate", "hit rate"),
    ("sharpe", "Sharpe, net"),
)
WIDTH = 9  # of a column: eight fit a terminal of 80
UNKNOWN_PANEL = Sizes(features=94, hidden=0, window=0, edge_attributes=len(EDGE_ATTRIBUTES), horizons=0, sectors=12)


class Watcher:
    """Progress of one training; a bar where the console is a terminal."""

    def __init__(self, console: Console, config: TrialConfig, epochs: int, max_steps: int | None = None) -> None:
        self.console, self.config, self._has_heading, self._has_begun = console, config, False, False
        self._epochs, self._max_steps = epochs, max_steps
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("step", total=None, loss="")

    def __enter__(self) -> Watcher:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def step(self, state: TrainState) -> None:
        """After every step."""
        progress = state.progress
        loss = progress.losses.get("total", 0.0) / max(1, progress.good_steps)
        total = self._epochs * progress.num_steps
        shown: dict[str, Any] = {
            "completed": state.step,
            "total": total if self._max_steps is None else min(total, self._max_steps),
            "description": f"epoch {state.epoch + 1} of {self.config.train.epochs}",
            "loss": f"loss {_short(loss)}",
        }
        if self._has_begun:
            self._bar.update(self._task, **shown)
        else:  # steps of an earlier start say nothing about the speed of this one
            self._has_begun = True
            self._bar.reset(self._task, **shown)

    def epoch(self, result: EpochResult) -> None:
        """After every epoch: one row, under a heading before the first, and a line per event."""
        horizons = {f"{h}d": f"{result.metrics[f'valid/rank_ic/{h}']:+.4f}" for h in self.config.data.horizons}
        row = {"epoch": str(result.epoch), "loss": _short(result.losses["total"]), "RankIC": f"{result.value:+.4f}"}
        row |= horizons
        if result.validation is not None:
            row["watched"] = f"{result.validation:+.4f}"
        row["seconds"] = f"{result.seconds:.1f}"
        phase = f"  {result.phase}" if self.config.train.phases else ""
        if not self._has_heading:
            self.console.print("".join(f"{name:>{WIDTH}}" for name in row) + ("  phase" if phase else ""))
            self._has_heading = True
        self.console.print("".join(f"{value:>{WIDTH}}" for value in row.values()) + phase)
        for event in result.events:
            self.console.print(f"  {event['kind']}: {event['sentence']}")


def _short(loss: float) -> str:
    return f"{loss:.4f}" if loss < 100 else f"{loss:.1e}"


def print_check(prepared: PreparedTraining, console: Console) -> None:
    """What would be trained."""
    config, outline = prepared.config, prepared.outline
    console.print(f"configuration {config.hash} is valid")
    sizes = UNKNOWN_PANEL
    if outline is not None:
        sizes = sizes._replace(features=outline.num_features, sectors=outline.num_sectors)
    sizes = sizes._replace(hidden=config.model.hidden, window=config.data.window, horizons=len(config.data.horizons))
    console.print(_blocks_table(ATFT(config.model, sizes, config.seed), config))
    if outline is None:
        console.print(f"counted for {sizes.features} features; fold {config.fold}, seed {config.seed}; no panel named")
    else:
        _say_panel(outline, config, console)
    for span in spans(config.train):
        phase = span.config
        console.print(
            f"epochs {span.first + 1} to {span.end}: {phase.name}, peak rate {phase.learning_rate:g}, learns "
            f"{', '.join(phase.learns)}"
        )


def _blocks_table(net: ATFT, config: TrialConfig) -> Table:
    table = Table(box=None)
    for heading in ("slot", "block", "parameters"):
        table.add_column(heading, justify="right" if heading == "parameters" else "left")
    for slot, block in net.named_children():
        kind = getattr(getattr(config.model, slot, None), "kind", "linear")
        table.add_row(slot, kind, f"{sum(p.numel() for p in block.parameters()):,}")
    return table


def _say_panel(outline: Outline, config: TrialConfig, console: Console) -> None:
    """Sizes, folds and steps, as far as dates and columns tell them."""
    train, dates = config.train, outline.dates
    fold = outline.splits[config.fold].watching(train.validation_days, config.data.purge)
    console.print(
        f"panel {counted(outline.num_stocks, 'stock')}, {counted(outline.num_features, 'feature')}, "
        f"{counted(len(dates), 'day')} {dates[0]} .. {dates[-1]} before the hold-out"
    )
    watched = f"; {len(fold.validation)} days between them are watched" if fold.validation else ""
    console.print(
        f"fold {fold.name}, seed {config.seed}: learns {len(fold.train)} days {dates[fold.train[0]]} .. "
        f"{dates[fold.train[-1]]}, scored on {len(fold.score)} days {dates[fold.score[0]]} .. "
        f"{dates[fold.score[-1]]}{watched}",
        soft_wrap=True,
    )
    width = min(train.block_days, len(fold.train))
    steps = epoch_layout(len(fold.train) // width, width, train.days_per_step, train.days_per_epoch).num_steps
    console.print(
        f"{counted(train.epochs, 'epoch')} of about {counted(steps, 'step')}, {train.epochs * steps:,} in all"
    )


def print_outcome(outcome: TrainOutcome, console: Console, again: str) -> None:
    """How it ended, what it scored, where everything is, what to do next."""
    if outcome.stopped is not None:
        console.print(f"stopped    {outcome.stopped}; {_kept(outcome)} go on:")
        console.print(f"           {again}", soft_wrap=True)
        _say_places(outcome, console)
        return
    console.print(
        f"ended      trial {outcome.number}: {outcome.ending}" + (f", {outcome.sentence}" if outcome.sentence else "")
    )
    _say_early(outcome, console)
    if outcome.results and outcome.results[-1].scorecard:
        console.print(_score_table("all stocks", outcome.results[-1].scorecard, outcome.prepared.config))
    for kind, cards in outcome.cards_by_group.items():
        console.print(_group_table(kind, cards, outcome.prepared.config))
    if outcome.prepared.config.train.phases:
        console.print(_phase_table(outcome.results, outcome.prepared.config))
    _say_places(outcome, console)


def _kept(outcome: TrainOutcome) -> str:
    """What is lost by stopping there, and the beginning of the way on."""
    if not outcome.lost:
        return "nothing is lost. To"
    why = "" if outcome.lost == outcome.stopped else f": {outcome.lost}"
    again = "" if (outcome.folder / CHECKPOINT).exists() else "; there is no checkpoint, so that it begins again"
    return f"but not all is kept{why}{again}. Make room. To"


def _say_places(outcome: TrainOutcome, console: Console) -> None:
    """Where everything is, and what opens it."""
    console.print(f"store      {shown_url(outcome.prepared.request.storage_url)}", soft_wrap=True)
    console.print(f"files      {outcome.folder}", soft_wrap=True)
    if (outcome.folder / EVENT_FILES).exists():
        console.print(f"look       tensorboard --logdir {shlex.quote(str(outcome.folder))}", soft_wrap=True)
    if (outcome.folder / WANDB_FILES).exists():
        console.print(f"wandb      {outcome.folder / WANDB_FILES}; wandb sync sends what is offline", soft_wrap=True)
    if (outcome.folder / TRACE).exists():
        console.print(f"profile    {outcome.folder / TRACE}, for chrome://tracing or ui.perfetto.dev", soft_wrap=True)


def _say_early(outcome: TrainOutcome, console: Console) -> None:
    """That early stopping ended it."""
    epochs = outcome.prepared.config.train.epochs
    if outcome.state == "COMPLETE" and len(outcome.results) < epochs:
        console.print(
            f"early      stopped after epoch {len(outcome.results)} of {epochs}, since the watched RankIC no longer "
            f"rose; the best epoch's weights were scored"
        )


def _score_table(title: str, card: Card, config: TrialConfig) -> Table:
    table = Table(box=None, title=title, title_justify="left")
    table.add_column("")
    for horizon in config.data.horizons:
        table.add_column(f"{horizon}d", justify="right")
    table.add_column("weighted", justify="right")
    for name, label in SHOWN:
        keys = [*(f"{name}/{horizon}" for horizon in config.data.horizons), name]
        table.add_row(label, *(f"{card[key]:+.4f}" if key in card else "" for key in keys))
    return table


def _group_table(kind: str, cards: dict[str, Card], config: TrialConfig) -> Table:
    table = Table(box=None, title=f"RankIC by {kind}", title_justify="left")
    table.add_column("")
    for horizon in config.data.horizons:
        table.add_column(f"{horizon}d", justify="right")
    known = {name: card for name, card in cards.items() if card}
    for name, card in known.items():
        keys = [f"rank_ic/{horizon}" for horizon in config.data.horizons]
        table.add_row(name.split(": ", 1)[1], *(f"{card[key]:+.4f}" if key in card else "" for key in keys))
    if small := [name.split(": ", 1)[1] for name in cards if name not in known]:
        table.caption = f"too few stocks for a cross-section: {', '.join(small)}"
    return table


def _phase_table(results: list[EpochResult], config: TrialConfig) -> Table:
    peaks = {span.config.name: span.config.learning_rate for span in spans(config.train)}
    table = Table(box=None, title="by phase", title_justify="left")
    for heading in ("phase", "epochs", "loss", "RankIC at its end", "peak rate", "last rate"):
        table.add_column(heading, justify="left" if heading == "phase" else "right")
    for name in dict.fromkeys(result.phase for result in results):
        own = [result for result in results if result.phase == name]
        last = own[-1]
        table.add_row(
            name,
            str(len(own)),
            f"{last.losses['total']:.4f}",
            f"{last.value:+.4f}",
            f"{peaks[name]:.2e}",
            f"{last.learning_rate:.2e}",
        )
    return table
