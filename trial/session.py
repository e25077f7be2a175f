"""One attempt at a trial, from order to results: build, resume, train, keep.

A sweep's worker and a single training run it. It knows no scheduler and no store: what it yields is what the store is
told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack

from data.loader import FoldBlocks
from data.store import MarketStore
from storage.names import CONFIRM
from trial.average import evaluated_weights
from trial.build import build, probe_memory
from trial.checkpoint import load_state
from trial.evaluate import EpochResult, Scores, predict
from trial.fit import fit
from trial.inside import look_inside
from trial.interrupt import Interruption, Stopped, Unwritten
from trial.keeper import CHECKPOINT, Keeper
from trial.logs import logging_to, start_line
from trial.order import TrialOrder
from trial.predictions import PREDICTIONS, SCALER, WEIGHTS, write_predictions, write_scaler, write_weights
from trial.profiling import Profile, open_profile
from trial.scorecard import scorecard
from trial.state import TrainState
from trial.tracking import open_trackers

SEED_LOOKED_INTO = 0  # of each arm that is confirmed: one is as good as another
logger = logging.getLogger(__name__)
Build = Callable[[TrialOrder], tuple[TrainState, FoldBlocks]]
AfterStep = Callable[[TrainState], None]
AfterScores = Callable[[Scores, MarketStore], None]


def built(order: TrialOrder) -> tuple[TrainState, FoldBlocks]:
    """The state and blocks that an order asks for."""
    return build(order.config, MarketStore.open(order.store), order.machine)


def run_attempt(
    order: TrialOrder,
    interruption: Interruption,
    begin: AfterStep = lambda state: None,
    after_step: AfterStep = lambda state: None,
    after_scores: AfterScores = lambda scores, store: None,
    make: Build = built,
) -> Generator[EpochResult, None, None]:
    """First the results that the store lacks, then the epochs that are still to be trained.

    `begin` sees the state before anything is trained, `after_step` after every step, `after_scores` the last scores.

    The checkpoint is written before a result is yielded, and the predictions before the last one, so that what the
    store lacks after a crash is on disk.

    Raises:
        TrialEnded: the trial ended itself.
        CheckpointError: the checkpoint to resume from is damaged or a stranger's.
        Stopped: a signal came, or `begin` or `after_step` asked for it; a checkpoint of that step has been written, or
            `unsaved` says why not.
        Unwritten: the last epoch's predictions could not be written; another attempt writes them.
    """
    with ExitStack() as stack:
        bound = {"study": order.study, "trial": order.number, "seed": order.config.seed}
        stack.enter_context(logging_to(order.folder, order.machine.log_level, **bound))
        state, blocks = make(order)
        if order.resume_from is not None:
            load_state(state, order.config, order.resume_from)
        begin(state)
        _say_start(order, state, blocks)
        for result in state.results[order.known_epochs :]:
            yield _kept(order, result, state, blocks, after_scores)
        if not state.is_done:
            probe_memory(state, blocks, order.config, order.machine)
            profile = open_profile(order.folder, order.machine.profile_steps)
            stack.callback(profile.close)
            for result in _train(order, state, blocks, interruption, profile, after_step):
                yield _kept(order, result, state, blocks, after_scores)


def _train(
    order: TrialOrder,
    state: TrainState,
    blocks: FoldBlocks,
    interruption: Interruption,
    profile: Profile,
    after_step: AfterStep,
) -> Iterator[EpochResult]:
    keeper = Keeper(order.folder / CHECKPOINT, order.config, order.machine.checkpoint_seconds)

    def look_in(state: TrainState) -> None:
        profile.step()
        after_step(state)
        keeper.after_step(state)
        interruption.check()

    trackers = open_trackers(order)
    try:
        for result in fit(state, blocks, order.config, order.machine.recover_oom, look_in):
            if (failure := keeper.save(state)) is not None:
                result.events.append(failure.to_dict())
            trackers.log(result, state, blocks)
            logger.debug("epoch %d: value %+.4f, %.1f s", result.epoch, result.value, result.seconds)
            if result.epoch > order.known_epochs:
                yield result
            interruption.check()
    except Stopped as stopped:
        if (failure := keeper.save(state)) is not None:
            stopped.unsaved = failure.sentence
        else:
            logger.info("stopped %s: step %d is in the checkpoint", stopped, state.step)
        raise
    finally:
        trackers.finish()


def _kept(
    order: TrialOrder, result: EpochResult, state: TrainState, blocks: FoldBlocks, after_scores: AfterScores
) -> EpochResult:
    """Writes the predictions before the last result is sent, so that COMPLETE means they are there."""
    if result.is_last:
        if state.scores is None:  # trained and checkpointed by an earlier attempt, but not reported
            with evaluated_weights(state.model, state.average):
                state.scores = predict(state.model, blocks, blocks.fold.score)
        _write(order, state, blocks)
        result.scorecard.update(scorecard(state.scores, blocks.store, order.config))
        if order.study.endswith(CONFIRM) and order.config.seed == SEED_LOOKED_INTO:
            with evaluated_weights(state.model, state.average):
                result.inside.update(look_inside(state.model, blocks))
        after_scores(state.scores, blocks.store)
    return result


def _write(order: TrialOrder, state: TrainState, blocks: FoldBlocks) -> None:
    assert state.scores is not None, "of the last epoch"
    try:
        order.folder.mkdir(parents=True, exist_ok=True)
        write_scaler(order.folder / SCALER, state.scaler)
        write_weights(order.folder / WEIGHTS, state.average.weights(state.model))
        write_predictions(order.folder / PREDICTIONS, state.scores, blocks.store)
    except OSError as error:
        raise Unwritten(f"since its predictions could not be written: {error}") from error


def _say_start(order: TrialOrder, state: TrainState, blocks: FoldBlocks) -> None:
    start_line(
        logger,
        config=order.config.hash,
        parameters=sum(p.numel() for p in state.model.parameters()),
        stocks=len(blocks.store.codes),
        features=len(blocks.store.meta.features),
        fold=f"{blocks.fold.name} ({len(blocks.fold.train)} training days, {len(blocks.fold.score)} scored)",
        device=state.device,
        epoch=state.epoch,
        step=state.step,
    )
