"""What belongs to this machine and changes no result. Environment variables ATFT_* or a .env file set it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from data.rules import meant
from model.config import CheckpointedSlot
from search_spaces.errors import SpaceError

ENV_FILE = ".env"


class Settings(BaseSettings):
    """Machine settings; every one has a default that suits a laptop."""

    model_config = SettingsConfigDict(env_prefix="ATFT_", env_file=ENV_FILE, extra="ignore")

    object_store_mib: int = Field(128, ge=80, description="Ray's shared memory; trials share data by files instead")
    prepare_memory_mib: int = Field(1024, ge=64, description="memory that preparing a market may hold")
    runs: Path = Field(Path("runs"), description="folder of everything that is written, where no option says otherwise")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where a single training computes")
    threads_per_trial: int = Field(1, ge=1, description="torch threads of one CPU trial; at most the cores there are")
    loader_workers: int = Field(
        0, ge=0, description="processes per trial that make its blocks; 0: the trial itself; at most the cores less one"
    )
    compile: bool = Field(False, description="torch.compile every network; on a CPU it is slower and needs a compiler")
    checkpointed: Annotated[tuple[CheckpointedSlot, ...], NoDecode] = Field(
        (), description="slots, comma between, whose activations are computed again to save memory: norm,temporal"
    )
    recover_oom: bool = Field(True, description="a step that does not fit in memory is computed in smaller pieces")
    memory_mib: int | None = Field(None, ge=1, description="that a trial's step may take; default: what is free")
    checkpoint_seconds: float = Field(600, gt=0, description="between checkpoints within an epoch")
    keep_checkpoints: int = Field(10, ge=1, description="best finished trials per study whose checkpoints stay")
    checkpoint_quota_mib: int = Field(20_480, ge=1, description="disk that a study's checkpoints may take together")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="of the trials' log files")
    tensorboard: bool = Field(False, description="tell every epoch to TensorBoard: scalars, histograms, attention")
    wandb: bool = Field(False, description="tell every epoch to Weights & Biases too; WANDB_MODE=offline stays here")
    profile_steps: int = Field(0, ge=0, description="steps of a trial that torch's profiler records; 0: none")
    notify_url: SecretStr | None = Field(None, description="web address that is told when a run ends or fails")
    notify_format: Literal["json", "slack"] = Field("json", description="of what it is told")
    store_patience_seconds: float = Field(
        300, ge=0, description="that a store which is away is waited for, once nothing runs any more"
    )
    hang_seconds: float = Field(1800, gt=0, description="without a step or a result after which a worker is replaced")
    actor_memory_growth_mib: int = Field(2048, ge=64, description="a reused worker that grew by more is replaced")

    @field_validator("threads_per_trial")
    @classmethod
    def _within_the_cores(cls, threads: int) -> int:
        return min(threads, os.cpu_count() or 1)

    @field_validator("notify_url")
    @classmethod
    def _is_a_web_address(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return url

    @field_validator("loader_workers")
    @classmethod
    def _leave_a_core(cls, workers: int) -> int:
        return min(workers, max(0, (os.cpu_count() or 1) - 1))

    @field_validator("checkpointed", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(filter(None, value.replace(" ", "").split(","))) if isinstance(value, str) else value


def read_settings() -> Settings:
    """The settings in force.

    Raises:
        SpaceError: one of them is not valid, or not known; names the variable.
    """
    try:
        _refuse_unknown()
        return Settings()
    except UnicodeDecodeError as error:
        raise SpaceError(f"the .env file must be text in UTF-8, but it is not: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(
            f"ATFT_{str(e['loc'][0]).upper()}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()
        )
        raise SpaceError(f"machine settings (environment or .env) must be valid, but {wrong}.") from error


def _refuse_unknown() -> None:
    """A misspelled variable would change nothing, in silence."""
    known = [f"ATFT_{name.upper()}" for name in Settings.model_fields]
    for name in sorted({*os.environ, *dotenv_values(ENV_FILE)}):
        if name.upper().startswith("ATFT_") and name.upper() not in known:
            hint = meant(name.upper(), known, cutoff=0.5) or f". Known are {', '.join(known)}."
            raise SpaceError(f"{name} is no machine setting{hint}")


@contextmanager
def told_to_ray(**variables: str) -> Iterator[None]:
    """Variables that Ray reads, for the time of a block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


# Read once by the allocator of every worker; measured 1.3x (and 2x in the LSTM's backward pass), +24 % memory.
ALLOCATOR_ENVIRONMENT = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "THP_MEM_ALLOC_ENABLE": "1",
}

# Ray reads these, not we: no usage statistics, no loggers, no signal handler of its own, metrics may be absent.
RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_WARN_THRESHOLD_S": "60",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
}
