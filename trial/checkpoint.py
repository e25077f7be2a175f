"""Checkpoints: a safetensors file, written atomically, proved whole before the first value of it is used.

Tensors (weights, averages, moments, random states) lie under names; everything else is JSON in the header. No pickle.
The header carries a digest of all of it, so that a truncated or altered file is refused and never half-loaded.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from search_spaces.config import TrialConfig
from trial.average import MovingAverage
from trial.evaluate import EpochResult
from trial.events import Event
from trial.state import Progress, TrainState

VERSION = "1"
RNG_CPU, RNG_CUDA = "rng/cpu", "rng/cuda"


class CheckpointError(ValueError):
    """Says the law, the offence and the way out."""


def save_state(state: TrainState, config: TrialConfig, path: Path) -> None:
    """Writes the checkpoint beside its place and moves it in: a killed process leaves the previous one whole.

    Raises:
        OSError: it cannot be written; nothing half-written stays.
    """
    tensors, content = _tensors(state), json.dumps(_content(state, config), sort_keys=True)
    header = {"version": VERSION, "content": content, "digest": _digest(tensors, content)}
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        safetensors.torch.save_file(tensors, scratch, header)
        _to_disk(scratch)
        os.replace(scratch, path)
    except (OSError, safetensors.SafetensorError) as error:
        scratch.unlink(missing_ok=True)
        raise error if isinstance(error, OSError) else OSError(str(error)) from error


def load_state(state: TrainState, config: TrialConfig, path: Path) -> TrainState:
    """Fills a fresh state of the same configuration.

    Raises:
        CheckpointError: the file is damaged, or of another configuration or other features; the state is untouched.
    """
    tensors, content = read_checkpoint(path)
    _refuse_stranger(state, config, path, tensors, content)
    model = _under("model/", tensors)
    state.model.load_state_dict(model)
    state.average.load(_under("average/", tensors) or model)
    _load_optimizer(state.optimizer, _under("optimizer/", tensors))
    state.precision.load_state_dict(content["precision"])
    state.health.load_state_dict(content["health"])
    for name, watch in state.watches.members.items():
        watch.load_state_dict(content["watches"][name])
        watch.best_weights = _under(f"best/{name}/", tensors) or None
    state.micro_batch, state.model.stocks_at_once = content["micro_batch"], content["stocks_at_once"]
    state.epoch, state.step = content["epoch"], content["step"]
    state.progress = Progress(**content["progress"])
    state.events = [Event(**event) for event in content["events"]]
    state.results = [EpochResult.from_dict(result) for result in content["results"]]
    torch.set_rng_state(tensors[RNG_CPU].cpu())
    if RNG_CUDA in tensors and state.device.type == "cuda":
        torch.cuda.set_rng_state(tensors[RNG_CUDA].cpu(), state.device)
    return state


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name and the plain content of a checkpoint that is whole.

    Raises:
        CheckpointError: no such file, or it is truncated or altered.
    """
    with _opened(path) as (file, header):
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    if header.get("digest") != _digest(tensors, header.get("content", "")):
        raise _damaged(path, "its digest is not that of its content")
    return tensors, json.loads(header["content"])


def read_epoch(path: Path) -> int:
    """Epochs behind a checkpoint, from its header alone: whether the rest is whole, only `read_checkpoint` knows.

    Raises:
        CheckpointError: no such file, or no checkpoint of this version.
    """
    with _opened(path) as (_, header):
        content = json.loads(header.get("content", "null"))
    if not isinstance(content, dict):
        raise _damaged(path, "its header has no content")
    return int(content["epoch"])


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, str]]]:
    """The open file and its header, of this version."""
    if not path.is_file():
        raise CheckpointError(f"a checkpoint must be there to be resumed, but {path} is not.")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("version") != VERSION:
                raise CheckpointError(
                    f"a checkpoint must be of version {VERSION}, but {path} is of {header.get('version', 'none')}. "
                    f"Start the training again."
                )
            yield file, header
    except CheckpointError:
        raise
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"a checkpoint must be whole, but {path} is damaged or was altered ({why}). Remove it to start again, or "
        f"resume from another."
    )


def _content(state: TrainState, config: TrialConfig) -> dict[str, Any]:
    return {
        "config": config.resumable_hash,
        "epoch": state.epoch,
        "step": state.step,
        "micro_batch": state.micro_batch,
        "stocks_at_once": state.model.stocks_at_once,
        "progress": asdict(state.progress),
        "precision": state.precision.state_dict(),
        "health": state.health.state_dict(),
        "watches": {name: watch.state_dict() for name, watch in state.watches.members.items()},
        "scaler": state.scaler.to_dict(),
        "events": [event.to_dict() for event in state.events],
        "results": [result.to_dict() for result in state.results],
    }


def _tensors(state: TrainState) -> dict[str, Tensor]:
    found = {f"model/{name}": value for name, value in state.model.state_dict().items()}
    if isinstance(state.average, MovingAverage):
        found |= {f"average/{name}": value for name, value in state.average.weights(state.model).items()}
    for number, moments in state.optimizer.state_dict()["state"].items():
        found |= {f"optimizer/{number}/{name}": value for name, value in moments.items()}
    for name, watch in state.watches.members.items():
        found |= {f"best/{name}/{key}": value for key, value in (watch.best_weights or {}).items()}
    found[RNG_CPU] = torch.get_rng_state()
    if state.device.type == "cuda":
        found[RNG_CUDA] = torch.cuda.get_rng_state(state.device)
    return {name: value.detach().cpu().contiguous().clone() for name, value in found.items()}


def _load_optimizer(optimizer: torch.optim.Optimizer, moments: dict[str, Tensor]) -> None:
    """The moments by the parameters' numbers; the groups are the configuration's."""
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in moments.items():
        number, key = name.split("/")
        states.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})


def _refuse_stranger(
    state: TrainState, config: TrialConfig, path: Path, tensors: dict[str, Tensor], content: dict[str, Any]
) -> None:
    """Everything that could fail half-way fails here."""
    if content["config"] != config.resumable_hash:
        raise CheckpointError(
            f"a checkpoint must be resumed with the configuration that made it, but {path} is of another. Start the "
            f"training again, or give the configuration that it was made with."
        )
    if content["scaler"] != json.loads(json.dumps(state.scaler.to_dict())):
        raise CheckpointError(
            f"a checkpoint must be resumed on the features that it was trained on, but {path} holds another scaler. "
            f"Start the training again."
        )
    wanted = {f"model/{name}": value.shape for name, value in state.model.state_dict().items()}
    given = {name: value.shape for name, value in tensors.items() if name.startswith("model/")}
    if wanted != given:
        names = sorted({name for name in wanted | given if wanted.get(name) != given.get(name)})
        raise CheckpointError(f"a checkpoint must fit the network, but in {path} these differ: {', '.join(names[:5])}.")


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _digest(tensors: dict[str, Tensor], content: str) -> str:
    """Of every name, type, shape and byte."""
    digest = hashlib.blake2b(content.encode(), digest_size=16)
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name}/{value.dtype}/{tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _to_disk(path: Path) -> None:
    """Past the page cache: a machine that loses power keeps the old file or has the new one."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
