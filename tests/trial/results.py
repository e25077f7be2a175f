"""Epoch results that no training made, for what only carries them."""

from __future__ import annotations

from trial.evaluate import EpochResult


def epoch_result(epoch: int, is_last: bool = False) -> EpochResult:
    return EpochResult(
        epoch=epoch,
        is_last=is_last,
        value=0.01 * epoch,
        best_so_far=0.01 * epoch,
        losses={"total": 1.0, "huber": 0.9},
        metrics={"valid/rank_ic/1": 0.02},
        daily_rank_ic={"2020-01-06": [0.1]},
        seconds=1.5,
        peak_memory_mib=100.0,
        micro_batch=4,
        num_days_left_out=0,
        bad_steps=0,
    )
