"""The blocks of an epoch's steps, in pieces that fit in memory.

A step is the mean over its days, whatever the pieces: the micro-batch is the machine's and changes no number beyond
rounding, and which random numbers dropout draws.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from data.batch import DayBlock
from data.loader import FoldBlocks
from model.atft import ATFT
from model.losses.config import Loss
from trial.events import Event
from trial.memory import is_out_of_memory, release
from trial.state import TrainState

LEAST_STOCKS = 32  # of the pointwise stage: less saves nothing that matters


class Feed:
    """Gradients, step by step. Where a step does not fit in memory it is taken again in smaller pieces."""

    def __init__(
        self, state: TrainState, blocks: FoldBlocks, steps: list[list[range]], loss: Loss, recover: bool
    ) -> None:
        self.state, self.blocks, self.steps, self.loss, self.recover = state, blocks, steps, loss, recover
        self._incoming: Iterator[DayBlock] | None = None
        self.last: DayBlock | None = None  # valid until the next step

    def take(self, number: int) -> dict[str, float]:
        """Gradients and loss parts of one step.

        Raises:
            RuntimeError, MemoryError: out of memory, where it may not recover or nothing smaller is left.
        """
        while True:
            if self._incoming is None:
                self._incoming = self.blocks.stream([days for step in self.steps[number:] for days in step])
            random_state = torch.get_rng_state() if self.recover else None
            try:
                return self._accumulate(self.steps[number])
            except (RuntimeError, MemoryError) as error:
                if random_state is None or not is_out_of_memory(error):
                    raise
                self._shrink(error)
                torch.set_rng_state(random_state)

    def _accumulate(self, step: list[range]) -> dict[str, float]:
        """Gradients of the step's mean loss over days, piece by piece as they come."""
        state, num_days = self.state, sum(len(days) for days in step)
        assert self._incoming is not None, "opened by take"
        totals: dict[str, torch.Tensor] = {}
        for _ in step:
            self.last = next(self._incoming)
            for piece in self.last.pieces(state.micro_batch):
                share = len(piece.days) / num_days
                with state.precision.forward():
                    prediction = state.model(*piece.inputs)
                parts = self.loss(prediction, piece.target_BNK, piece.label_mask_BNK)
                state.precision.backward(parts["total"] * share)
                for name, value in parts.items():
                    totals[name] = totals.get(name, 0.0) + value.detach() * share
        return dict(zip(totals, torch.stack(list(totals.values())).tolist(), strict=True))  # one sync with the device

    def _shrink(self, error: BaseException) -> None:
        """Halves the days that are computed at once; when one day does not fit, the stocks of the pointwise stage.

        Raises:
            BaseException: the error itself, where nothing smaller is left.
        """
        state = self.state
        state.optimizer.zero_grad(set_to_none=True)
        self._incoming = self.last = None
        model = state.model
        floor = least_days(model)
        if state.micro_batch > floor:
            state.micro_batch = max(floor, state.micro_batch // 2)
            now = f"{state.micro_batch} days at once"
        else:
            stocks = min(model.stocks_at_once, len(self.blocks.store.codes))
            if stocks <= LEAST_STOCKS:
                raise error
            model.stocks_at_once = max(LEAST_STOCKS, (stocks + 1) // 2)
            now = f"the pointwise stage for {model.stocks_at_once} stocks at once"
        state.events.append(Event("oom", f"step {state.step + 1} did not fit in memory; taken again with {now}"))
        release()


def least_days(model: ATFT) -> int:
    """Days that cannot be taken apart: a graph block that keeps neighbours for some days needs those together."""
    return int(getattr(getattr(model.graph, "edges", None), "refresh_days", 1))
