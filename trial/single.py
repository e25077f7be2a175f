"""One training, checked already, to its outcome outside Ray, recorded in a study of its own name."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from optuna.trial import TrialState
from rich.console import Console

from data.store import MarketStore
from search_spaces.errors import SpaceError
from storage.database import away_in_words, open_storage
from storage.errors import LostError
from storage.lease import Lease
from storage.study import StudyStore
from trial import recording
from trial.checkpoint import CheckpointError, read_epoch
from trial.endings import TrialEnded
from trial.evaluate import EpochResult, Scores
from trial.facts import kept_provenance, market_number, tell_facts, whole_provenance
from trial.interrupt import Interrupted, Interruption, Stopped, Unwritten
from trial.machine import Machine
from trial.notify import notify
from trial.order import Flight, Outcome, TrialOrder
from trial.phase import spans
from trial.plan import Place, latest_checkpoint, start_flight
from trial.scorecard import Card, by_group
from trial.session import run_attempt
from trial.settings import Settings, read_settings
from trial.state import TrainState
from trial.train_request import PreparedTraining, TrainRequest, device_of, refuse_untimely, span_of
from trial.training_view import Watcher


@dataclass(frozen=True)
class TrainOutcome:
    """What a training leaves."""

    prepared: PreparedTraining
    state: str  # COMPLETE, PRUNED, FAIL, WAITING
    reason: str  # code: complete, diverged, dead_block, ..
    sentence: str
    results: list[EpochResult]
    number: int
    folder: Path
    cards_by_group: dict[str, dict[str, Card]] = field(default_factory=dict)
    stopped: str | None = None  # why it stopped before its end; it can go on
    was_interrupted: bool = False
    lost: str = ""  # what could not be written when it stopped

    @property
    def ending(self) -> str:
        """State, and the reason code where the state does not say it."""
        return self.state if self.reason == "complete" else f"{self.state} ({self.reason})"


def run_training(prepared: PreparedTraining, console: Console) -> TrainOutcome:
    """Trains, or goes on where the last start stopped; what it says goes to the console, what it found to the store.

    Raises:
        SpaceError, CheckpointError: a phase or a checkpoint that does not fit what is trained already.
        StorageError: another process trains under this name, or the store went away.
    """
    request, settings = prepared.request, read_settings()
    try:
        outcome = _open_and_train(prepared, settings, console)
    except Exception as error:
        if not isinstance(error, CheckpointError | SpaceError):  # refusals, which the person at the terminal reads
            notify(settings, f"training {request.study}: FAIL", f"{type(error).__name__}: {error}")
        raise
    if outcome.stopped is None or outcome.lost:
        notify(settings, f"training {request.study} trial {outcome.number}: {outcome.ending}", outcome.sentence)
    return outcome


@away_in_words()
def _open_and_train(prepared: PreparedTraining, settings: Settings, console: Console) -> TrainOutcome:
    """Holds the lease on the study from its opening to the trial's end."""
    storage = open_storage(prepared.request.storage_url)
    lease = Lease(storage.engine, prepared.request.study)
    try:
        study = StudyStore(storage, prepared.request.study, guard=lease.renew)
        study.define({"space": "train"})
        flight = _flight(study, prepared, settings)
        torch.set_num_threads(settings.threads_per_trial)
        return _train(study, flight, prepared, console, lease)
    finally:
        lease.release()
        storage.engine.dispose()


class _Hooks:
    """What looks in while the loop runs: the person, the lease, the limits that were asked for, the groups."""

    def __init__(self, flight: Flight, request: TrainRequest, watcher: Watcher, lease: Lease) -> None:
        self.flight, self.request, self.watcher, self.lease = flight, request, watcher, lease
        self.cards_by_group: dict[str, dict[str, Card]] = {}

    def begin(self, state: TrainState) -> None:
        """A person should see that nothing begins anew, or that it has to."""
        order, say = self.flight.order, self.watcher.console.print
        if order.resume_from is not None:
            say(f"goes on    after epoch {state.epoch}, step {state.step}, of {order.resume_from}", soft_wrap=True)
        elif order.known_epochs:
            say(f"begins     again without a checkpoint; the {order.known_epochs} epochs known are not shown twice")
        self._stop_at_the_limit(state)

    def after_step(self, state: TrainState) -> None:
        self.watcher.step(state)
        self.lease.renew()
        self._stop_at_the_limit(state)

    def after_scores(self, scores: Scores, store: MarketStore) -> None:
        for kind in self.request.groups:
            self.cards_by_group[kind] = by_group(scores, store, self.flight.order.config, kind)

    def _stop_at_the_limit(self, state: TrainState) -> None:
        if self.request.max_steps is not None and state.step >= self.request.max_steps:
            raise Stopped(f"after {state.step} steps, as --max-steps asks")


def _train(
    study: StudyStore, flight: Flight, prepared: PreparedTraining, console: Console, lease: Lease
) -> TrainOutcome:
    """The results as they come; every way in which a training can end, in the store."""
    request, config = prepared.request, flight.order.config
    last_epoch = config.train.epochs if request.phase is None else span_of(config, request.phase).end
    stop: Stopped | None = None
    with Interruption() as interruption, Watcher(console, config, last_epoch, request.max_steps) as watcher:
        hooks = _Hooks(flight, request, watcher, lease)
        try:
            with away_in_words():
                _record(study, flight, hooks, interruption, last_epoch)
        except TrialEnded as end:
            flight.outcome = Outcome(TrialState.PRUNED, end.reason, end.sentence)
        except Stopped as stopped:
            stop = stopped
            _note(study, flight.order, stop)
        except (CheckpointError, LostError):  # the one before a step was taken; it waits, and can go on
            raise
        except Exception as error:  # recorded with its text, then raised again: nothing is swallowed
            flight.outcome = recording.failure(f"{type(error).__name__}: {error}\n{traceback.format_exc()}"[:2000])
            raise
        finally:
            recording.finish(study, flight)
    return _outcome(prepared, flight, hooks.cards_by_group, stop)


def _record(study: StudyStore, flight: Flight, hooks: _Hooks, interruption: Interruption, last_epoch: int) -> None:
    """Every epoch, as it comes, to the store and to the person."""
    if recording.judge_known(flight):
        return
    attempt = run_attempt(flight.order, interruption, hooks.begin, hooks.after_step, hooks.after_scores)
    for result in attempt:
        recording.record_epoch(study, flight, result.to_dict())
        hooks.watcher.epoch(result)
        if result.epoch == last_epoch and not result.is_last:
            raise Stopped(f"after phase {hooks.request.phase}, as --phase asks")


def _note(study: StudyStore, order: TrialOrder, stop: Stopped) -> None:
    """An event for what the trial's own record does not say."""
    if lost := _lost(stop):
        study.note("checkpoint_failed" if stop.unsaved else "unwritten", lost, order.number)
    elif isinstance(stop, Interrupted):
        study.note("interrupted", f"attempt {order.attempt}: {stop}; it waits", order.number)


def _lost(stop: Stopped) -> str:
    """What could not be written when it stopped."""
    return stop.unsaved or (str(stop) if isinstance(stop, Unwritten) else "")


def _outcome(
    prepared: PreparedTraining, flight: Flight, groups: dict[str, dict[str, Card]], stop: Stopped | None
) -> TrainOutcome:
    ending = flight.outcome or Outcome(TrialState.WAITING, "stopped")
    return TrainOutcome(
        prepared=prepared,
        state=ending.state.name,
        reason=ending.reason,
        sentence=ending.sentence,
        results=[EpochResult.from_dict(result) for result in flight.results],
        number=flight.order.number,
        folder=flight.order.folder,
        cards_by_group=groups,
        stopped=None if stop is None else str(stop),
        was_interrupted=isinstance(stop, Interrupted),
        lost="" if stop is None else _lost(stop),
    )


def next_phase(outcome: TrainOutcome) -> str | None:
    """The phase to go on with, where the training was asked for one; the same one where it was stopped within it."""
    request, config = outcome.prepared.request, outcome.prepared.config
    if request.phase is None:
        return None
    done = len(outcome.results)
    return next((span.config.name for span in spans(config.train) if span.first <= done < span.end), None)


def _flight(study: StudyStore, prepared: PreparedTraining, settings: Settings) -> Flight:
    """The trial that was stopped, where it was of this configuration, or a new one."""
    request, market, config = prepared.request, prepared.market, prepared.config
    assert market is not None, "prepared for training"
    assert prepared.panel is not None, "prepared for training"
    tell_facts(study, prepared.panel, market, market.splits(config.data), config)
    study.study.set_user_attr("summary", f"one configuration, {request.config.name}")
    study.requeue_unfinished()
    ours = config.resumable_hash  # as is one that died before its first attribute
    study.give_up_waiting(lambda trial: trial.user_attrs.get("resumable_hash", ours) != ours)
    place = Place(
        runs=request.runs.resolve(),
        store=market.folder.resolve(),
        machine=Machine.of(settings, device_of(settings)),
        code=whole_provenance()["code"],
        provenance=kept_provenance(study.storage),
        gpus=float(device_of(settings) == "cuda"),
        market=market_number(study.storage, market),
    )
    if request.phase is not None and request.resume_checkpoint is None:
        refuse_untimely(span_of(config, request.phase), _epochs_behind(study, place.runs), "this training")
    flight = start_flight(study, study.ask(), config, place)
    if request.resume_checkpoint is None:
        return flight
    order = flight.order.model_copy(update={"resume_from": request.resume_checkpoint.resolve()})
    return replace(flight, order=order)


def _epochs_behind(study: StudyStore, runs: Path) -> int:
    """Epochs of the waiting trial that would be gone on with; 0 where a new one would begin."""
    for trial in study.waiting():
        path = latest_checkpoint(runs / study.name / str(trial.number), int(trial.user_attrs.get("attempts", 0)))
        return 0 if path is None else read_epoch(path)
    return 0
