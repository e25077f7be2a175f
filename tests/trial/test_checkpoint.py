"""Checkpoints: whole or refused, resumed bit for bit at any step, no pickle, nothing half-written."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from data.loader import FoldBlocks
from search_spaces.config import TrialConfig
from trial.checkpoint import CheckpointError, load_state, read_checkpoint, save_state
from trial.fit import fit
from trial.interrupt import Stopped
from trial.keeper import Keeper
from trial.state import TrainState, new_state

FULL = {
    "train.precision": "bf16",
    "train.schedule": {"kind": "plateau", "patience": 1},
    "train.early_stopping": {"patience": 3},
    "train.validation_days": 12,
}


def stop_at(step: int) -> Callable[[TrainState], None]:
    def stop(state: TrainState) -> None:
        if state.step == step:
            raise Stopped(f"at step {step}")

    return stop


def numbers(state: TrainState) -> list[dict[str, Any]]:
    own = ("seconds", "peak_memory_mib")
    return [{k: v for k, v in result.to_dict().items() if k not in own} for result in state.results]


@pytest.mark.parametrize("step", [1, 3, 4, 7])
@pytest.mark.parametrize("changes", [{}, FULL], ids=["plain", "everything on"])
def test_killed_within_an_epoch_it_goes_on_bit_for_bit(
    blocks: FoldBlocks, config: TrialConfig, tmp_path: Path, step: int, changes: dict[str, Any]
) -> None:
    """Three steps an epoch: after the first step, at an epoch's end, and within later ones."""
    config = config.replace(**changes)
    if changes:
        fold = blocks.store.splits(config.data).search.watching(12, config.data.purge)
        blocks = FoldBlocks(blocks.store, fold, config.data, config.train.block_days)
    whole = new_state(config, blocks)
    list(fit(whole, blocks, config))
    first = new_state(config, blocks)
    with pytest.raises(Stopped):
        list(fit(first, blocks, config, after_step=stop_at(step)))
    save_state(first, config, tmp_path / "c")
    torch.manual_seed(999)
    second = load_state(new_state(config, blocks), config, tmp_path / "c")
    assert (second.epoch, second.progress.position) == (first.epoch, first.progress.position)
    list(fit(second, blocks, config))
    assert numbers(second) == numbers(whole)
    assert all(torch.equal(a, b) for a, b in zip(second.model.parameters(), whole.model.parameters(), strict=True))


@pytest.fixture
def saved(blocks: FoldBlocks, config: TrialConfig, tmp_path: Path) -> Path:
    state = new_state(config, blocks)
    next(fit(state, blocks, config))
    save_state(state, config, tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def untouched(state: TrainState, blocks: FoldBlocks, config: TrialConfig) -> bool:
    fresh = new_state(config, blocks)
    same = all(torch.equal(a, b) for a, b in zip(state.model.parameters(), fresh.model.parameters(), strict=True))
    return same and state.step == 0 and not state.results


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused_and_nothing_of_it_loaded(
    saved: Path, blocks: FoldBlocks, config: TrialConfig, share: float
) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * share)])
    state = new_state(config, blocks)
    with pytest.raises(CheckpointError, match="damaged or was altered"):
        load_state(state, config, saved)
    assert untouched(state, blocks, config)


@pytest.mark.parametrize("place", [0.02, 0.2, 0.4, 0.6, 0.8, 0.999])
def test_a_flipped_bit_is_refused_wherever_it_is(
    saved: Path, blocks: FoldBlocks, config: TrialConfig, place: float
) -> None:
    content = bytearray(saved.read_bytes())
    content[int(len(content) * place)] ^= 0x10
    saved.write_bytes(content)
    state = new_state(config, blocks)
    with pytest.raises(CheckpointError):
        load_state(state, config, saved)
    assert untouched(state, blocks, config)


def test_a_checkpoint_of_another_configuration_or_seed_is_refused(
    saved: Path, blocks: FoldBlocks, config: TrialConfig
) -> None:
    for other in (config.replace(seed=1), config.replace(**{"train.learning_rate": 0.5})):
        with pytest.raises(CheckpointError, match="configuration that made it"):
            load_state(new_state(other, blocks), other, saved)


def test_a_pickle_is_refused(blocks: FoldBlocks, config: TrialConfig, tmp_path: Path) -> None:
    torch.save({"model": {}}, tmp_path / "pickle")
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(tmp_path / "pickle")


def test_a_missing_checkpoint_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="must be there"):
        read_checkpoint(tmp_path / "nothing")


def test_a_disk_that_is_full_costs_the_checkpoint_and_leaves_the_old_one(
    saved: Path, blocks: FoldBlocks, config: TrialConfig
) -> None:
    """The kernel refuses to write beyond a limit, as it does where a disk is full."""
    before = saved.read_bytes()
    state = load_state(new_state(config, blocks), config, saved)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        failure = Keeper(saved, config, 600).save(state)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert failure is not None
    assert failure.kind == "checkpoint_failed"
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name], "nothing half-written stays"


def test_a_process_killed_while_saving_leaves_the_old_checkpoint(saved: Path) -> None:
    """The new one is written beside it and moved in."""
    script = (
        "import os, safetensors.torch as s, sys, torch; from trial import checkpoint as c;"
        "c.os.replace = lambda *_: os._exit(9);"
        "t, h = c.read_checkpoint(__import__('pathlib').Path(sys.argv[1]));"
        "c.safetensors.torch.save_file(t, sys.argv[1] + '.1.tmp'); c.os.replace()"
    )
    before = saved.read_bytes()
    done = subprocess.run([sys.executable, "-c", script, str(saved)], check=False, env=os.environ)
    assert done.returncode == 9
    assert saved.read_bytes() == before


def test_a_keeper_saves_within_a_long_epoch(blocks: FoldBlocks, config: TrialConfig, tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "c", config, seconds=1e-9)
    positions = []

    def look_in(state: TrainState) -> None:
        keeper.after_step(state)
        positions.append(read_checkpoint(tmp_path / "c")[1]["progress"]["position"])

    next(fit(new_state(config, blocks), blocks, config, after_step=look_in))
    assert positions == [1, 2, 3]
