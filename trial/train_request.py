"""What a single training is asked for, and every check that comes before it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from data.config import DataConfig
from data.outline import Outline, outline
from data.prepare import prepare
from data.progress import Shown
from data.settings import suited
from data.splits import prove_purged
from data.store import MarketStore
from data.synthetic import SyntheticConfig, synthetic_panel
from search_spaces.config import TrialConfig, validated
from search_spaces.errors import SpaceError
from search_spaces.train import weights_for
from storage.address import store_of
from storage.database import Address, check_reachable
from trial.build import fold_of
from trial.checkpoint import read_checkpoint
from trial.phase import Span, spans
from trial.request import STUDY_NAME, removed_where_refused
from trial.scorecard import GROUPS, refuse_groups
from trial.settings import Settings, read_settings
from trial.tracking import refuse_missing_trackers


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
    def storage_url(self) -> Address:
        return store_of(self.storage, self.runs)

    @property
    def study(self) -> str:
        return self.name or self.config.stem


@dataclass(frozen=True)
class PreparedTraining:
    """A request that has passed every check."""

    request: TrainRequest
    config: TrialConfig
    panel: Path | None
    market: MarketStore | None  # None where it was only checked
    outline: Outline | None = None  # of the panel, where it was only checked


def prepare_training(request: TrainRequest, console: Console, only_check: bool = False) -> PreparedTraining:
    """Checks everything that can be wrong, preparing the market on the way; a refusal leaves nothing behind.

    Raises:
        SpaceError, DataError, StorageError, CheckpointError: with the law, the offence and the way out.
    """
    settings = read_settings()
    config = _read(request)
    _check(request, config, settings)
    if only_check:
        return _outlined(request, config)
    check_reachable(request.storage_url)
    with removed_where_refused(request.runs):
        panel = request.panel or synthetic_panel(request.runs / "synthetic", SyntheticConfig())
        config = _with_data(config, suited(config.data, panel))
        market = prepare(panel, request.runs / "prepared", config.data, Shown(console), settings.prepare_memory_mib)
        prove_purged(market.splits(config.data), config.data)
        fold_of(config, market)
        refuse_groups(request.groups, market)
    for sentence in market.meta.doubts:
        console.print(f"doubt: {sentence}")
    return PreparedTraining(request, config, panel, market)


def _outlined(request: TrainRequest, config: TrialConfig) -> PreparedTraining:
    """Checked against the panel's days and columns, where one is named; nothing is written."""
    if request.panel is None:
        return PreparedTraining(request, config, None, None)
    found = outline(request.panel, config.data)
    config = _with_data(config, found.config)
    found.splits[config.fold].watching(config.train.validation_days, config.data.purge)
    return PreparedTraining(request, config, request.panel, None, found)


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
    device_of(settings)
    if request.panel is not None and not request.panel.exists():
        raise SpaceError(f"--data must name a panel, but {request.panel} is not there.")
    done = None if request.resume_checkpoint is None else read_checkpoint(request.resume_checkpoint)[1]["epoch"]
    if request.phase is not None:
        span = span_of(config, request.phase)
        if done is not None:
            refuse_untimely(span, done, str(request.resume_checkpoint))


def span_of(config: TrialConfig, phase: str) -> Span:
    """The phase's epochs; raises SpaceError where there is no such phase."""
    plan = {span.config.name: span for span in spans(config.train)}
    if phase not in plan:
        known = ", ".join(plan) if config.train.phases else "none: its train.phases is empty"
        raise SpaceError(f"--phase must name a phase of the configuration ({known}), got {phase!r}.")
    return plan[phase]


def refuse_untimely(span: Span, done: int, source: str) -> None:
    """Raises SpaceError where what the phase builds on is not there, or is past it."""
    if not span.first <= done < span.end:
        raise SpaceError(
            f"--phase {span.config.name} is trained in epochs {span.first + 1} to {span.end}, but {source} has {done} "
            f"behind it. Train the phases before it first, or give their checkpoint with --resume-checkpoint."
        )


def _with_data(config: TrialConfig, data: DataConfig) -> TrialConfig:
    """The configuration on a panel: what the file leaves open follows its length and columns."""
    weights = weights_for(len(data.horizons), config.train.horizon_weights)
    return config.replace(**{"data": data, "train.horizon_weights": weights})


def device_of(settings: Settings) -> str:
    """What is trained on; raises SpaceError where this machine lacks what the settings ask for."""
    if settings.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise SpaceError("ATFT_DEVICE asks for cuda, but this machine has no GPU that torch can use. Set it to auto.")
    return settings.device
