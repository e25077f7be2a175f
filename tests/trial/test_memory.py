"""Memory: the probe chooses a micro-batch before the first step; a real allocator's refusal is recognised."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from data.loader import FoldBlocks
from search_spaces.config import TrialConfig
from trial.fit import fit
from trial.memory import HEADROOM, _probed, available_bytes, choose_micro_batch, is_out_of_memory
from trial.state import TrainState, new_state


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 80000000000 bytes"), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_a_lack_of_memory_is_told_from_other_errors(error: BaseException, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


REAL = """
import resource, torch
from trial.memory import is_out_of_memory
torch.ones(1)
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))
try:
    torch.empty(8 * 2**30, dtype=torch.uint8)
except (RuntimeError, MemoryError) as error:
    raise SystemExit(0 if is_out_of_memory(error) else 1)
raise SystemExit(2)
"""


def test_the_refusal_of_a_real_allocator_is_recognised() -> None:
    assert subprocess.run([sys.executable, "-c", REAL], check=False).returncode == 0


def test_where_there_is_enough_the_micro_batch_stays(
    state: TrainState, blocks: FoldBlocks, config: TrialConfig
) -> None:
    choose_micro_batch(state, blocks, config.build_loss())
    assert (state.micro_batch, state.events) == (4, [])
    assert available_bytes(torch.device("cpu")) > 0


def test_the_probe_leaves_no_trace(state: TrainState, blocks: FoldBlocks, config: TrialConfig) -> None:
    before = torch.get_rng_state()
    choose_micro_batch(state, blocks, config.build_loss())
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.grad is None for parameter in state.model.parameters())
    probed = list(fit(state, blocks, config))
    plain = list(fit(new_state(config, blocks), blocks, config))
    assert [r.value for r in probed] == [r.value for r in plain]


def test_where_memory_is_small_the_micro_batch_is_and_the_event_says_so(
    state: TrainState, blocks: FoldBlocks, config: TrialConfig
) -> None:
    loss = config.build_loss()
    needed = [_probed(state, blocks.block(blocks.fold.train[:4]), loss, days) for days in (1, 2, 4)]
    assert needed == sorted(needed)
    assert needed[0] > HEADROOM * 1000
    choose_micro_batch(state, blocks, loss, limit=int((needed[1] + needed[2]) / 2))
    assert state.micro_batch == 2
    (event,) = state.events
    assert event.kind == "small_memory"
    assert "4 days at once would not fit" in event.sentence


def test_where_not_even_a_day_fits_the_loop_is_left_to_try(
    state: TrainState, blocks: FoldBlocks, config: TrialConfig
) -> None:
    choose_micro_batch(state, blocks, config.build_loss(), limit=1)
    assert state.micro_batch == 1


def test_a_probe_that_runs_out_itself_counts_as_not_fitting(
    state: TrainState, blocks: FoldBlocks, config: TrialConfig
) -> None:
    class Cramped(torch.nn.Module):
        def __init__(self, head: torch.nn.Module) -> None:
            super().__init__()
            self.head, self.levels = head, head.levels

        def forward(self, h: torch.Tensor) -> torch.Tensor:
            if len(h) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return self.head(h)

    state.model.head = Cramped(state.model.head)
    choose_micro_batch(state, blocks, config.build_loss())
    assert state.micro_batch == 1
