"""The training loop. `fit` is a generator of epoch results: a test is a `list()` of it, a Ray step one `next()`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

from torch.nn.utils import clip_grad_norm_

from data.loader import FoldBlocks
from search_spaces.config import TrialConfig
from trial.average import evaluated_weights
from trial.endings import diverged
from trial.evaluate import EpochResult, evaluate, predict, weighted_rank_ic
from trial.feed import Feed
from trial.memory import peak_memory_mib
from trial.phase import Span, begin_training, set_rate, span_at
from trial.state import Progress, TrainState

AfterStep = Callable[[TrainState], None]
"""Called after every step, when the state is whole; it may raise to leave the loop there."""


def fit(
    state: TrainState,
    blocks: FoldBlocks,
    config: TrialConfig,
    recover_oom: bool = False,
    after_step: AfterStep = lambda state: None,
) -> Iterator[EpochResult]:
    """Trains from `state` to the last epoch, mutating it; yields after each epoch is trained and scored.

    Args:
        state: fresh, or from a checkpoint, in the middle of an epoch too.
        blocks: of the fold.
        config: what is trained.
        recover_oom: whether a step that does not fit in memory is taken again in smaller pieces.
        after_step: where a signal, a progress bar or a profiler looks in.

    Raises:
        TrialEnded: the trial diverged, a block is dead, or its predictions rank nothing.
    """
    while not state.is_done:
        started = time.perf_counter() - state.progress.seconds
        span = span_at(config.train, state.epoch)
        _train_epoch(state, blocks, config, span, started, recover_oom, after_step)
        result = _result(state, blocks, config, span, started)
        state.epoch, state.progress, state.events = state.epoch + 1, Progress(), []
        state.results.append(result)
        yield result


def _train_epoch(
    state: TrainState,
    blocks: FoldBlocks,
    config: TrialConfig,
    span: Span,
    started: float,
    recover_oom: bool,
    after_step: AfterStep,
) -> None:
    """The steps of an epoch that are not done yet."""
    train, progress = config.train, state.progress
    steps = blocks.steps(state.epoch, config.seed, train.days_per_step, train.days_per_epoch)
    before, num_steps = (state.epoch - span.first) * len(steps), span.config.epochs * len(steps)
    feed = Feed(state, blocks, steps, config.build_loss(), recover_oom)
    progress.num_steps = len(steps)
    begin_training(state.model, span.config)
    if before + progress.position == 0:
        state.health.begin_phase()
    while progress.position < len(steps):
        of_phase = before + progress.position
        progress.learning_rate = set_rate(state.optimizer, train, span, of_phase, num_steps, state.watches.factor)
        parts = feed.take(progress.position)
        _step(state, config, parts, of_phase)
        progress.position += 1
        progress.seconds = time.perf_counter() - started
        after_step(state)


def _step(state: TrainState, config: TrialConfig, parts: dict[str, float], of_phase: int) -> None:
    """Unscales, judges, clips and steps; a step with a non-finite loss or gradient is left out and counted."""
    train, progress = config.train, state.progress
    state.precision.unscale(state.optimizer)
    norm = float(clip_grad_norm_(state.model.parameters(), train.clip_norm))
    state.step += 1
    if math.isfinite(norm) and math.isfinite(parts["total"]):
        state.health.hear_loss(parts["total"])
        if state.health.wants_gradients(of_phase):
            state.events += state.health.look_at_gradients(state.model)
        state.precision.step(state.optimizer)
        state.average.update(state.model, state.step)
        progress.good_steps, progress.bad_in_a_row = progress.good_steps + 1, 0
        progress.gradient_norm += norm
        for name, value in parts.items():
            progress.losses[name] = progress.losses.get(name, 0.0) + value
    elif not (state.precision.overflowed() and math.isfinite(parts["total"])):
        progress.bad_steps, progress.bad_in_a_row = progress.bad_steps + 1, progress.bad_in_a_row + 1
    state.optimizer.zero_grad(set_to_none=True)
    if progress.bad_in_a_row >= train.max_bad_steps:
        raise diverged(
            f"{progress.bad_in_a_row} steps in a row had a non-finite loss or gradient (epoch {state.epoch + 1}, "
            f"step {state.step}, loss {parts['total']}, gradient norm {norm})"
        )


def _result(state: TrainState, blocks: FoldBlocks, config: TrialConfig, span: Span, started: float) -> EpochResult:
    """Scores the epoch with the weights that are evaluated, after those who watch have had their say."""
    progress, epoch = state.progress, state.epoch + 1
    if not progress.good_steps:
        raise diverged(f"not one of the {progress.position} steps of epoch {epoch} had a finite loss and gradient")
    losses = {name: value / progress.good_steps for name, value in progress.losses.items()}
    validation = _watched(state, blocks, config)
    is_last = epoch == config.train.epochs or state.watches.stops
    if is_last and state.watches.best_weights is not None:
        state.average.load(state.watches.best_weights)
    with evaluated_weights(state.model, state.average):
        state.scores = predict(state.model, blocks, blocks.fold.score)
        block = blocks.block(blocks.last_train_days).pieces(state.micro_batch)[-1]
        seen, found = state.health.look_at_epoch(state.model, block, losses["total"], is_last)
    evaluation = evaluate(state.scores, blocks, config)
    return EpochResult(
        epoch=epoch,
        is_last=is_last,
        value=evaluation.value,
        best_so_far=max([evaluation.value, *(r.value for r in state.results)]),
        losses=losses,
        metrics=evaluation.metrics,
        daily_rank_ic=evaluation.daily_rank_ic,
        seconds=time.perf_counter() - started,
        peak_memory_mib=peak_memory_mib(state.device),
        micro_batch=state.micro_batch,
        num_days_left_out=evaluation.num_days_left_out,
        bad_steps=progress.bad_steps,
        phase=span.config.name,
        learning_rate=progress.learning_rate,
        gradient_norm=progress.gradient_norm / progress.good_steps,
        validation=validation,
        vitals=seen._asdict(),
        events=[event.to_dict() for event in state.events + found],
    )


def _watched(state: TrainState, blocks: FoldBlocks, config: TrialConfig) -> float | None:
    """RankIC of the validation days, told to those who watch; None where nobody does."""
    if not state.watches.members:
        return None
    with evaluated_weights(state.model, state.average):
        value = weighted_rank_ic(predict(state.model, blocks, blocks.fold.validation), config)
    state.watches.hear(value, state.average.weights(state.model))
    return value
