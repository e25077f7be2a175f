"""One training from request to outcome, outside Ray: checked whole, trained, recorded in a study of its own name."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from pathlib import Path

import torch
from optuna.trial import TrialState
from rich.console import Console

from data.prepare import prepare
from data.progress import Shown
from data.settings import suited
from data.splits import prove_purged
from data.store import MarketStore
from data.synthetic import SyntheticConfig, synthetic_panel
from search_spaces.config import TrialConfig, validated
from search_spaces.errors import SpaceError
from search_spaces.train import weights_for
from storage.database import check_reachable, open_storage
from storage.lease import Lease
from storage.study import StudyStore
from trial import recording
from trial.build import fold_of
from trial.checkpoint import CheckpointError, read_checkpoint
from trial.endings import TrialEnded
from trial.evaluate import EpochResult, Scores
from trial.facts import kept_provenance, tell_facts, whole_provenance
from trial.interrupt import Interrupted, Interruption, Stopped, Unwritten
from trial.machine import Machine
from trial.notify import notify
from trial.order import Flight, Outcome
from trial.phase import Span, spans
from trial.plan import Place, start_flight
from trial.request import STUDY_NAME, removed_where_refused
from trial.scorecard import GROUPS, Card, by_group, refuse_groups
from trial.session import run_attempt
from trial.settings import Settings, read_settings
from trial.state import TrainState
from trial.tracking import refuse_missing_trackers
from trial.training_view import Watcher


@dataclass(frozen=True)
class TrainRequest:
    """What the command line, or a notebook, asks for; None takes the configuration's, or the default."""

    config: Path
    panel: Path | None = None
    runs: Path = Path("runs")
    storage: str | None = None
    name: str | None = None
    fold: str | None = None
    seed: int | None = None
    max_steps: int | None = None
    phase: str | None = None
    resume_checkpoint: Path | None = None
    groups: tuple[str, ...] = ()

    @property
    def storage_url(self) -> str:
        return f"sqlite:///{self.runs}/sweeps.db" if self.storage is None else self.storage

    @property
    def study(self) -> str:
        return self.name or self.config.stem


@dataclass(frozen=True)
class PreparedTraining:
    """A request that has passed every check."""

    request: TrainRequest
    config: TrialConfig
    panel: Path | None
    market: MarketStore | None  # None where only the configuration was checked


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


def prepare_training(request: TrainRequest, console: Console, only_check: bool = False) -> PreparedTraining:
    """Checks everything that can be wrong, preparing the market on the way; a refusal leaves nothing behind.

    Raises:
        SpaceError, DataError, StorageError, CheckpointError: with the law, the offence and the way out.
    """
    settings = read_settings()
    config = _read(request)
    _check(request, config, settings)
    if only_check:
        suited_config = config if request.panel is None else _on_panel(config, request.panel)
        return PreparedTraining(request, suited_config, request.panel, None)
    check_reachable(request.storage_url)
    with removed_where_refused(request.runs):
        panel = request.panel or synthetic_panel(request.runs / "synthetic", SyntheticConfig())
        config = _on_panel(config, panel)
        market = prepare(panel, request.runs / "prepared", config.data, Shown(console), settings.prepare_memory_mib)
        prove_purged(market.splits(config.data), config.data)
        fold_of(config, market)
        refuse_groups(request.groups, market)
    for sentence in market.meta.doubts:
        console.print(f"doubt: {sentence}")
    return PreparedTraining(request, config, panel, market)


def run_training(prepared: PreparedTraining, console: Console) -> TrainOutcome:
    """Trains, or goes on where the last start stopped; what it says goes to the console, what it found to the store."""
    request, settings = prepared.request, read_settings()
    storage = open_storage(request.storage_url)
    lease = Lease(storage.engine, request.study)
    try:
        study = StudyStore(storage, request.study)
        study.define({"space": "train"})
        flight = _flight(study, prepared, settings)
        torch.set_num_threads(settings.threads_per_trial)
        outcome = _train(study, flight, prepared, console, lease)
    except Exception as error:
        if not isinstance(error, CheckpointError | SpaceError):  # refusals, which the person at the terminal reads
            notify(settings, f"training {request.study}: FAIL", f"{type(error).__name__}: {error}")
        raise
    finally:
        lease.release()
        storage.engine.dispose()
    if outcome.stopped is None or outcome.lost:
        notify(settings, f"training {request.study} trial {outcome.number}: {outcome.ending}", outcome.sentence)
    return outcome


def _say_resumed(flight: Flight, console: Console) -> None:
    """A person should see that nothing begins anew."""
    if (path := flight.order.resume_from) is not None:
        content = read_checkpoint(path)[1]
        console.print(f"goes on    after epoch {content['epoch']}, step {content['step']}, of {path}", soft_wrap=True)


def _train(
    study: StudyStore, flight: Flight, prepared: PreparedTraining, console: Console, lease: Lease
) -> TrainOutcome:
    """The results as they come; every way in which a training can end, in the store."""
    request, order = prepared.request, flight.order
    stopped, interrupted, lost = None, False, ""
    stop_after = None if request.phase is None else _span_of(order.config, request.phase).end
    groups: dict[str, dict[str, Card]] = {}
    with Interruption() as interruption, Watcher(console, order.config) as watcher:

        def look_in(state: TrainState) -> None:
            watcher.step(state)
            lease.renew()
            if request.max_steps is not None and state.step >= request.max_steps:
                raise Stopped(f"after {state.step} steps, as --max-steps asks")

        def look_at_groups(scores: Scores, store: MarketStore) -> None:
            groups.update({kind: by_group(scores, store, order.config, kind) for kind in request.groups})

        try:
            _say_resumed(flight, console)
            for result in run_attempt(order, interruption, after_step=look_in, after_scores=look_at_groups):
                recording.record_epoch(study, flight, result.to_dict())
                watcher.epoch(result)
                if result.epoch == stop_after and not result.is_last:
                    raise Stopped(f"after phase {request.phase}, as --phase asks")
        except TrialEnded as end:
            flight.outcome = Outcome(TrialState.PRUNED, end.reason, end.sentence)
        except Stopped as stop:
            stopped, interrupted = str(stop), isinstance(stop, Interrupted)
            lost = stop.unsaved or (str(stop) if isinstance(stop, Unwritten) else "")
            if lost:
                study.note("checkpoint_failed" if stop.unsaved else "unwritten", lost, order.number)
        except CheckpointError:  # refused before a step was taken: the trial waits
            raise
        except Exception as error:  # recorded with its text, then raised again: nothing is swallowed
            flight.outcome = recording.failure(f"{type(error).__name__}: {error}\n{traceback.format_exc()}"[:2000])
            raise
        finally:
            recording.finish(study, flight)
    outcome = flight.outcome or Outcome(TrialState.WAITING, "stopped")
    return TrainOutcome(
        prepared=prepared,
        state=outcome.state.name,
        reason=outcome.reason,
        sentence=outcome.sentence,
        results=[EpochResult.from_dict(result) for result in flight.results],
        number=order.number,
        folder=order.folder,
        cards_by_group=groups,
        stopped=stopped,
        was_interrupted=interrupted,
        lost=lost,
    )


def _read(request: TrainRequest) -> TrialConfig:
    """The file's configuration, with what the command line says of it."""
    try:
        text = request.config.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SpaceError(
            f"a configuration must be a readable YAML file, but {request.config} is not: {error}"
        ) from error
    config = TrialConfig.from_yaml(text)
    changes = {"fold": request.fold, "seed": request.seed}
    given = {name: value for name, value in changes.items() if value is not None}
    validated(given)  # a copy is not
    return config.model_copy(update=given)  # unlike a new one, it knows what the file left open


def _check(request: TrainRequest, config: TrialConfig, settings: Settings) -> None:
    """What needs no market to be wrong."""
    refuse_missing_trackers(settings.tensorboard, settings.wandb)
    if not STUDY_NAME.fullmatch(request.study):
        raise SpaceError(
            f"a study's name must be letters, digits, '.', '_' or '-', got {request.study!r}. Give another with --name."
        )
    if unknown := sorted(set(request.groups) - set(GROUPS)):
        raise SpaceError(f"--by must name some of {', '.join(GROUPS)}, got {', '.join(unknown)}.")
    if _device(settings) == "cuda" and not torch.cuda.is_available():
        raise SpaceError("ATFT_DEVICE asks for cuda, but this machine has no GPU that torch can use. Set it to auto.")
    if request.panel is not None and not request.panel.exists():
        raise SpaceError(f"--data must name a panel, but {request.panel} is not there.")
    done = None if request.resume_checkpoint is None else read_checkpoint(request.resume_checkpoint)[1]["epoch"]
    if request.phase is not None:
        span = _span_of(config, request.phase)
        if done is not None:
            _refuse_untimely(span, done, str(request.resume_checkpoint))


def _span_of(config: TrialConfig, phase: str) -> Span:
    """The phase's epochs; raises SpaceError where there is no such phase."""
    plan = {span.config.name: span for span in spans(config.train)}
    if phase not in plan:
        known = ", ".join(plan) if config.train.phases else "none: its train.phases is empty"
        raise SpaceError(f"--phase must name a phase of the configuration ({known}), got {phase!r}.")
    return plan[phase]


def next_phase(outcome: TrainOutcome) -> str | None:
    """The phase to go on with, where the training was asked for one; the same one where it was stopped within it."""
    request, config = outcome.prepared.request, outcome.prepared.config
    if request.phase is None:
        return None
    done = len(outcome.results)
    return next((span.config.name for span in spans(config.train) if span.first <= done < span.end), None)


def _refuse_untimely(span: Span, done: int, source: str) -> None:
    """Raises SpaceError where what the phase builds on is not there, or is past it."""
    if not span.first <= done < span.end:
        raise SpaceError(
            f"--phase {span.config.name} is trained in epochs {span.first + 1} to {span.end}, but {source} has {done} "
            f"behind it. Train the phases before it first, or give their checkpoint with --resume-checkpoint."
        )


def _on_panel(config: TrialConfig, panel: Path) -> TrialConfig:
    """The configuration on a panel: folds and settings that the file leaves open follow its length and columns."""
    data = suited(config.data, panel)
    weights = weights_for(len(data.horizons), config.train.horizon_weights)
    return config.replace(**{"data": data, "train.horizon_weights": weights})


def _flight(study: StudyStore, prepared: PreparedTraining, settings: Settings) -> Flight:
    """The trial that was stopped, where it was of this configuration, or a new one."""
    request, market, config = prepared.request, prepared.market, prepared.config
    assert market is not None, "prepared for training"
    assert prepared.panel is not None, "prepared for training"
    tell_facts(study, prepared.panel, market, market.splits(config.data), config)
    study.study.set_user_attr("summary", f"one configuration, {request.config.name}")
    study.requeue_unfinished()
    study.give_up_waiting(lambda attributes: attributes.get("resumable_hash") != config.resumable_hash)
    place = Place(
        runs=request.runs.resolve(),
        store=market.folder.resolve(),
        machine=Machine.of(settings, _device(settings)),
        code=whole_provenance()["code"],
        provenance=kept_provenance(study.storage),
    )
    flight = start_flight(study, study.ask(), config, place)
    if request.phase is not None and request.resume_checkpoint is None:
        try:
            done = 0 if flight.order.resume_from is None else read_checkpoint(flight.order.resume_from)[1]["epoch"]
            _refuse_untimely(_span_of(config, request.phase), done, "this training")
        except (SpaceError, CheckpointError):
            recording.finish(study, flight)  # it waits; nothing stays RUNNING
            raise
    if request.resume_checkpoint is None:
        return flight
    order = flight.order.model_copy(update={"resume_from": request.resume_checkpoint.resolve()})
    return Flight(order, flight.trial_id, flight.results)


def _device(settings: Settings) -> str:
    if settings.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return settings.device
