"""Machine: what a worker is told of the machine that it runs on. None of it changes what a trial is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from model.config import CheckpointedSlot
from trial.settings import Settings


class Machine(BaseModel):
    """From the settings of the driver's machine, for every worker alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str = "cpu"
    threads: int = Field(1, ge=1)  # torch threads
    loader_workers: int = Field(0, ge=0)  # processes that make the blocks; 0: the trial itself
    compiled: bool = False  # torch.compile
    checkpointed: tuple[CheckpointedSlot, ...] = ()  # slots whose activations are computed again
    recover_oom: bool = True  # a step that does not fit is computed in smaller pieces
    memory_mib: int | None = None  # that a step may take; None: what is free
    checkpoint_seconds: float = 600.0  # between checkpoints within an epoch
    log_level: str = "INFO"
    tensorboard: bool = False  # every epoch is also told to TensorBoard
    wandb: bool = False  # every epoch is also told to Weights & Biases
    profile_steps: int = 0  # that torch's profiler records
    growth_mib: int = 2048  # a reused worker that grew by more is replaced

    @classmethod
    def of(cls, settings: Settings, device: str) -> Machine:
        return cls(
            device=device,
            threads=settings.threads_per_trial,
            loader_workers=settings.loader_workers,
            compiled=settings.compile,
            checkpointed=settings.checkpointed,
            recover_oom=settings.recover_oom,
            memory_mib=settings.memory_mib,
            checkpoint_seconds=settings.checkpoint_seconds,
            log_level=settings.log_level,
            tensorboard=settings.tensorboard,
            wandb=settings.wandb,
            profile_steps=settings.profile_steps,
            growth_mib=settings.actor_memory_growth_mib,
        )
